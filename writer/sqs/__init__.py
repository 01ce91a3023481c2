"""The SQS queue: receiving, locking, acknowledging, parking, and its backlog."""
