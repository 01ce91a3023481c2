"""The `replicator` command, for people who run the pipeline."""
