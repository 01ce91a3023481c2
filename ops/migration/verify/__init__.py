"""`replicator verify`."""
