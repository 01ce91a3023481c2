"""Tests of a replication on real servers, for this project's own suite and for its users' suites.

docs/testing.md says how to use it. The fixtures are in `replicator_testing.plugin`.
"""

from replicator_testing.pipeline import Item, Pipeline
from replicator_testing.replicate import ParkedError, Replicate

__all__ = ["Item", "ParkedError", "Pipeline", "Replicate"]
