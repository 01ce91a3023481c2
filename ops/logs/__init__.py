"""`replicator logs`."""
