"""Reads the shards of a DynamoDB stream, each after its parent."""
