"""`replication.yaml` → rules → what a change becomes as a document. Pure, but for the loading of hooks."""
