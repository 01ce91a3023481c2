"""`replicator smoke-test`: changes that it makes itself go through a deployed pipeline."""
