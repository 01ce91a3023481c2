"""The embedded stack: everything the replicator needs, on one machine, without Docker."""
