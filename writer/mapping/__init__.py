"""`replication.yaml` → rules → the document that a change becomes. Pure, except for loading hooks."""
