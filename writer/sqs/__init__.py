"""The SQS queue: receiving, locking, acknowledging, parking, and asking how much waits."""
