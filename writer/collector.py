"""Python's collector of unreachable cycles, and how often it looks."""

from __future__ import annotations

import gc

_OBJECTS = 20_000
"""Objects made and not freed after which it looks; Python's own number is 700, less than a batch has."""


def collect_now() -> None:
    """Looks once: a failed call leaves cycles behind, which hold on to what was to be written."""
    gc.collect()


def spare_the_collector() -> None:
    """Makes it look less often: batches are thousands of objects without cycles. For the start of a process.

    See docs/decisions/0012-where-the-writers-time-goes.md.
    """
    gc.collect()
    gc.freeze()  # what was imported stays, and need not be looked through again and again
    gc.set_threshold(_OBJECTS)
