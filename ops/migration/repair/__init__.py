"""`replicator repair`."""
