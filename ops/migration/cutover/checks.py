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

    from ops.event_source_checks import Judgement
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


def live_check(judgement: Judgement) -> Check:
    """Live replication, as `ops.migration.source.live.judge_replication` has judged it."""
    if judgement.problems:
        said = "; ".join(each.said for each in judgement.problems)
        fixes = "; ".join(each.fix for each in judgement.problems if each.fix)
        return Check("live replication", Light.RED, said, fixes)
    if judgement.unknown:
        return Check("live replication", Light.UNKNOWN, f"unknown: {'; '.join(judgement.unknown)}")
    return Check("live replication", Light.GREEN, "the stream is on, and the pipeline's Lambda reads it")


def mapping_check(mapping: ComparedMapping) -> Check:
    """Whether the checks go by the mapping of the writers."""
    if mapping.is_theirs:
        return Check("mapping", Light.GREEN, "that of the writers")
    if mapping.is_known:
        return Check("mapping", Light.RED, "not that of the writers", "leave out --no-mapping")
    return Check("mapping", Light.UNKNOWN, mapping.why_unknown, "start the writers and give their mapping")


def backfill_check(checkpoint: Checkpoint | None, rules: str, table_id: str = "") -> Check:
    """The copy of the items that were there.

    Args:
        checkpoint: of the backfill.
        rules: the digest of the mapping.
        table_id: changes when the table is deleted and created again; empty: not known.
    """
    red = functools.partial(Check, "backfill", Light.RED)
    if checkpoint is None:
        return red("none has run", "replicator backfill, then replicator verify")
    counts = checkpoint.counts
    if checkpoint.finished is None:
        return red(f"not complete: {counts.read:,} items so far", "replicator backfill resumes it")
    if _is_of_other_table(checkpoint.table_id, table_id):
        advice = f"replicator backfill --restart, then replicator resync {checkpoint.table}"
        return red(f"it copied {_OTHER_TABLE}", advice)
    if checkpoint.rules != rules:
        return red(
            "it ran with a different mapping",
            "replicator backfill --restart with this mapping, then replicator repair: until then, existing "
            "documents stay as the other mapping made them",
        )
    if counts.rejected:
        return red(
            f"complete, but {counts.rejected:,} items were rejected",
            "fix the mapping or the items, then replicator backfill --restart --rejects FILE, which lists "
            "what is still rejected",
        )
    ago = _ago(checkpoint.finished, datetime.now(UTC))
    return Check("backfill", Light.GREEN, f"complete, {counts.read:,} items, {ago}")


def verify_check(  # noqa: PLR0913 - all that decides
    state: Mapping[str, Any] | None,
    checkpoint: Checkpoint | None,
    rules: str,
    within: timedelta,
    now: datetime,
    *,
    table_id: str = "",
) -> Check:
    """The last comparison.

    Args:
        state: what MongoDB keeps of it.
        checkpoint: that of the backfill, which has to be older.
        rules: the digest of the mapping.
        within: how old it may be.
        now: the time.
        table_id: see `backfill_check`.
    """
    again = "replicator verify"
    red = functools.partial(Check, "verify", Light.RED)
    if state is None:
        return red("none has run", again)
    at = state["at"].replace(tzinfo=UTC)
    ago = _ago(at, now)
    if _is_of_other_table(state.get("table_id", ""), table_id):
        return red(f"compared {_OTHER_TABLE}, {ago}", again)
    if not state["clean"]:
        kinds = ", ".join(f"{state[kind]:,} {kind}" for kind in Kind if state.get(kind))
        return red(f"found {kinds}, {ago}", _advice_for(state))
    if why := _clean_but(state, checkpoint, rules, ago, is_old=now - at > within):
        return red(f"clean, but {why}", again)
    if state["in_flight"]:
        found = f"clean, but {state['in_flight']:,} keys kept changing, {ago}"
        return Check("verify", Light.UNKNOWN, found, "replicator verify with a longer --settle")
    return Check("verify", Light.GREEN, f"clean and complete, {state['items']:,} items, {ago}")


def _clean_but(
    state: Mapping[str, Any], checkpoint: Checkpoint | None, rules: str, ago: str, *, is_old: bool
) -> str:
    """Why a clean comparison says too little; empty: it says enough."""
    if not state["complete"]:
        return f"only a sample of {state['sample']:,}, {ago}"
    if state["rules"] != rules:
        return f"with a different mapping, {ago}"
    if is_old:
        return ago
    finished = checkpoint.finished if checkpoint else None
    if finished and state["started"].replace(tzinfo=UTC) < finished.replace(microsecond=0):
        return "before the backfill was complete"
    return ""


_OTHER_TABLE = "a different table of this name: it was deleted and created again, or is elsewhere"


def _is_of_other_table(found: str, table_id: str) -> bool:
    """Whether something was done to another table; both ids can be unknown."""
    return bool(found and table_id and found != table_id)


def _advice_for(state: Mapping[str, Any]) -> str:
    """What helps against the differences that a comparison found."""
    return "; ".join(advice for kinds, advice in _ADVICE if any(state.get(kind) for kind in kinds))


_ADVICE = (
    (
        (Kind.UNMAPPABLE,),
        (
            "items that cannot become documents cannot be repaired: fix the mapping or the items, "
            "which replicator verify --report FILE lists"
        ),
    ),
    (
        (Kind.MISSING, Kind.DIFFERENT, Kind.IMPOSSIBLE),
        "first redrive or drop dead letters, which can be the cause, then replicator resync",
    ),
    (
        (Kind.EXTRA,),
        (
            "replicator repair removes what replication wrote, and lists documents that something else "
            "wrote: "
            "check those and delete them by hand"
        ),
    ),
)


def last_minutes(minutes: int) -> str:
    """Of which time a metric was read."""
    return "the last minute" if minutes == 1 else f"the last {minutes} minutes"


def lag_check(  # noqa: PLR0913 - all that is told of it
    name: str,
    worst: float | None,
    limit: float,
    minutes: int,
    *,
    why_unknown: str = "",
    advice: str = "",
    advice_if_unknown: str = "",
) -> Check:
    """A lag that CloudWatch has measured.

    Args:
        name: what lags.
        worst: the highest value of the last minutes, seconds; None: not known.
        limit: what it has to be below, seconds.
        minutes: how many.
        why_unknown: why it is not known.
        advice: what helps if it is too high.
        advice_if_unknown: what helps if it is not known.
    """
    if worst is None:
        return Check(name, Light.UNKNOWN, why_unknown, advice_if_unknown)
    span = f"at most {worst:.1f} s in {last_minutes(minutes)}"
    if worst < limit:
        return Check(name, Light.GREEN, span)
    return Check(name, Light.RED, f"{span}, not below {limit:g} s", advice)


def queue_check(
    name: str, messages: int | None, *, why_unknown: str, advice: str, advice_if_unknown: str = ""
) -> Check:
    """A queue that has to be empty; `messages` includes those in flight and delayed, None: not known."""
    if messages is None:
        return Check(name, Light.UNKNOWN, why_unknown, advice_if_unknown)
    return Check(name, Light.RED, f"{messages:,}", advice) if messages else Check(name, Light.GREEN, "none")


def light_of(checks: Sequence[Check]) -> Light:
    """The light of all together: a red one counts more than one that is not known."""
    lights = {check.light for check in checks}
    return next((light for light in (Light.RED, Light.UNKNOWN) if light in lights), Light.GREEN)


def _ago(at: datetime, now: datetime) -> str:
    return f"{duration(max(0.0, (now - at).total_seconds()))} ago"
