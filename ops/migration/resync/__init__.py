"""`replicator resync`."""
