"""`replicator dlq` and `peek`: the dead-letter queue and the queue."""
