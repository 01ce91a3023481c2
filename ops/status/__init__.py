"""`replicator status`."""
