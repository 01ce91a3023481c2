"""The source of a migration: a DynamoDB table or an export of it."""
