"""`replicator doctor`."""
