"""`python -m ops`: the same as `replicator`."""

from ops.cli import main

main()
