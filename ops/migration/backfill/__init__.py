"""`replicator backfill`."""
