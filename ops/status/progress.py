"""Decides whether messages in flight are finished, from looks at the pipeline one after the other. Pure.

A message that a writer holds is invisible for as long as the writer lives, and so it is with one that is
frozen: a single look cannot tell them apart.
"""

from __future__ import annotations

from dataclasses import replace

from ops.status.facts import Progress, Status

LEAST_SECONDS = 5.0
"""How far apart two looks are that say anything: a batch is written in less."""


class Looks:
    """Looks at one pipeline, each of which is compared with those before."""

    def __init__(self) -> None:
        self._since: Status | None = None
        self._last: Status | None = None

    def judge(self, status: Status) -> Status:
        """The status, with what it says together with earlier looks."""
        before, self._last = self._last, status
        if not status.queue.in_flight:
            self._since = None
            return replace(status, progress=Progress(seen=True))
        if _works(status) or (before is not None and status.queue.total < before.queue.total):
            self._since = status
            return replace(status, progress=Progress(seen=True))
        self._since = since = self._since or status
        seconds = status.at - since.at
        if seconds < LEAST_SECONDS:
            return replace(status, progress=Progress(None, seconds))
        # Where new messages come, as many could be finished unseen; not by writers that say they finish none.
        stands = status.queue.total == since.queue.total or _rests(status)
        return replace(status, progress=Progress(False if stands else None, seconds))


def needs_another_look(status: Status) -> bool:
    """Whether a second look would tell more."""
    return status.queue.in_flight > 0 and status.progress.seen is None


def _works(status: Status) -> bool:
    return any(each.figures and each.figures.rate > 0 for each in status.writers.asked)


def _rests(status: Status) -> bool:
    """Whether all writers are known, and none finishes anything."""
    asked = status.writers.asked
    all_known = bool(asked) and not status.writers.why_unknown
    return all_known and all(each.figures is not None and each.figures.rate == 0 for each in asked)
