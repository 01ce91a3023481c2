"""`replicator check-config` and `config-schema`."""
