"""Decides whether applications may move to MongoDB. What is not known is never green. Pure."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ops.console.progress import duration
from ops.migration.verify.comparison import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ops.migration.backfill.checkpoints import Checkpoint
    from ops.migration.mapping import ComparedMapping


class Light(StrEnum):
    """What a check says."""

    GREEN = "green"
    RED = "red"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the list.

    Attributes:
        found: what was found.
        advice: what to do about it; empty if nothing.
    """

    name: str
    light: Light
    found: str
    advice: str = ""


def live_check(problem: str | None) -> Check:
    """Live replication; `problem` says why it is off (`ops.migration.source.live.replication_problem`)."""
    if problem is None:
        return Check("live replication", Light.GREEN, "the stream is on, and a Lambda reads it")
    return Check("live replication", Light.RED, "it is off", problem)


def mapping_check(mapping: ComparedMapping) -> Check:
    """Whether the checks go by the mapping of the writers."""
    if mapping.is_theirs:
        return Check("mapping", Light.GREEN, "that of the writers")
    if mapping.is_known:
        return Check("mapping", Light.RED, "another one than that of the writers", "leave --no-mapping out")
    return Check(
        "mapping", Light.UNKNOWN, "no writer has recorded one", "start the writers, and give their mapping"
    )


def backfill_check(checkpoint: Checkpoint | None, rules: str) -> Check:
    """The copy of the items that were there; `rules` is the digest of the mapping."""
    red = functools.partial(Check, "backfill", Light.RED)
    if checkpoint is None:
        return red("none has run", "replicator backfill")
    counts = checkpoint.counts
    if checkpoint.finished is None:
        return red(f"not complete: {counts.read:,} items up to now", "replicator backfill goes on with it")
    if checkpoint.rules != rules:
        return red("it ran under another mapping", "replicator backfill --restart, then verify")
    if counts.rejected:
        return red(
            f"complete, but {counts.rejected:,} items were rejected",
            "mend the mapping or the items: replicator backfill --restart --rejects FILE tells which",
        )
    ago = _ago(checkpoint.finished, datetime.now(UTC))
    return Check("backfill", Light.GREEN, f"complete, {counts.read:,} items, {ago}")


def verify_check(
    state: Mapping[str, Any] | None,
    checkpoint: Checkpoint | None,
    rules: str,
    within: timedelta,
    now: datetime,
) -> Check:
    """The last comparison.

    Args:
        state: what MongoDB keeps of it.
        checkpoint: that of the backfill, which has to be older.
        rules: the digest of the mapping.
        within: how old it may be.
        now: the time.
    """
    again = "replicator verify"
    red = functools.partial(Check, "verify", Light.RED)
    if state is None:
        return red("none has run", again)
    at = state["at"].replace(tzinfo=UTC)
    ago = _ago(at, now)
    if not state["clean"]:
        kinds = ", ".join(f"{state[kind]:,} {kind}" for kind in Kind if state.get(kind))
        return red(f"found {kinds}, {ago}", "replicator repair, then verify")
    if not state["complete"]:
        return red(f"clean, but only a sample of {state['sample']:,}, {ago}", again)
    if state["rules"] != rules:
        return red(f"clean, but under another mapping, {ago}", again)
    if now - at > within:
        return red(f"clean, but {ago}", again)
    finished = checkpoint.finished if checkpoint else None
    if finished and state["started"].replace(tzinfo=UTC) < finished.replace(microsecond=0):
        return red("clean, but before the backfill was complete", again)
    if state["in_flight"]:
        found = f"clean, but {state['in_flight']:,} keys changed all the time, {ago}"
        return Check("verify", Light.UNKNOWN, found, "replicator verify with a longer --settle")
    return Check("verify", Light.GREEN, f"clean and complete, {state['items']:,} items, {ago}")


def lag_check(name: str, worst: float | None, limit: float, minutes: int, *, why_unknown: str = "") -> Check:
    """A lag that CloudWatch has measured.

    Args:
        name: what lags.
        worst: the highest value of the last minutes, seconds; None: not known.
        limit: what it has to be below, seconds.
        minutes: how many.
        why_unknown: why it is not known.
    """
    if worst is None:
        return Check(name, Light.UNKNOWN, why_unknown)
    span = f"at most {worst:.1f} s in the last {minutes} minutes"
    if worst < limit:
        return Check(name, Light.GREEN, span)
    return Check(name, Light.RED, f"{span}, not below {limit:g} s", "docs/operations.md")


def queue_check(name: str, messages: int | None, *, why_unknown: str, advice: str) -> Check:
    """A queue that has to be empty; `messages` includes those in flight and delayed, None: not known."""
    if messages is None:
        return Check(name, Light.UNKNOWN, why_unknown)
    return Check(name, Light.RED, f"{messages:,}", advice) if messages else Check(name, Light.GREEN, "none")


def may_cut_over(checks: Sequence[Check]) -> bool:
    """Whether all are green."""
    return all(check.light is Light.GREEN for check in checks)


def _ago(at: datetime, now: datetime) -> str:
    return f"{duration(max(0.0, (now - at).total_seconds()))} ago"
