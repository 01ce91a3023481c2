"""`replicator plan-cutover`."""
