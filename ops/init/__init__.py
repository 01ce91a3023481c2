"""`replicator init`."""
