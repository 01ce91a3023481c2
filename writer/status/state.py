"""What the process is doing, in words: from what it waits for, and whether the backlog grows. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from writer.status.history import Sample

BACKLOG = 100
"""Messages waiting that make a backlog; fewer are on their way."""

_TREND = 180.0  # seconds that the trend covers
_LASTING = 45.0  # seconds that a backlog has to last: a burst is none
_SHORTEST = 10.0  # seconds between the first and the last sample that make a trend
_LONGEST_ETA = 48 * 3600.0  # seconds; a backlog that takes longer does not shrink


class Kind(StrEnum):
    """The states of the writer."""

    STARTING = "starting"
    WAITING = "waiting"
    DRAINING = "draining"
    CATCHING_UP = "catching up"
    FALLING_BEHIND = "falling behind"
    REPLICATING = "replicating"
    UP_TO_DATE = "up to date"


@dataclass(frozen=True, slots=True)
class Awaited:
    """A dependency that is waited for.

    Attributes:
        name: as people call it.
        reason: why; empty: it was not called yet.
        since: seconds since the epoch.
    """

    name: str
    reason: str
    since: float


@dataclass(frozen=True, slots=True)
class Situation:
    """What a state is made from.

    Attributes:
        now: on the clock of `samples`.
        awaited: the dependencies that are waited for.
        stopping: whether a stop was requested.
        samples: backlogs of the last minutes, the oldest first.
        changes: number of changes settled just now.
        in_hand: messages received and not settled.
        has_queue: whether they come from SQS; else from streams, which this process reads itself.
    """

    now: float
    awaited: Sequence[Awaited] = ()
    stopping: bool = False
    samples: Sequence[Sample] = ()
    changes: float = 0
    in_hand: int = 0
    has_queue: bool = True


@dataclass(frozen=True, slots=True)
class State:
    """What the writer is doing.

    Attributes:
        title: in a word or two.
        words: in a sentence.
        since: since when, seconds since the epoch; None: not known.
        eta: seconds until the backlog is gone; None: not known.
    """

    kind: Kind
    title: str
    words: str
    since: float | None = None
    eta: float | None = None


def state_of(situation: Situation) -> State:
    """Returns what the writer is doing."""
    held = f"{situation.in_hand:,} messages are" if situation.in_hand != 1 else "1 message is"
    if situation.stopping:
        words = f"Stopping: {held} in flight, and no more are received."
        return State(Kind.DRAINING, "Draining", words)
    lost = [each for each in situation.awaited if each.reason]
    if lost:
        return _waiting(lost, "in the queue" if situation.has_queue else "in the stream for 24 hours")
    if situation.awaited:
        names = " and ".join(each.name for each in situation.awaited)
        return State(Kind.STARTING, "Starting", f"Connecting to {names}.")
    if behind := _behind(situation):
        return behind
    if situation.in_hand and not situation.changes:  # the first ones, or MongoDB takes its time
        words = f"{held} being written; none was acknowledged in the last seconds."
        return State(Kind.REPLICATING, "Replicating", words)
    if situation.changes:
        return State(Kind.REPLICATING, "Replicating", "Changes are written as they arrive.")
    return State(Kind.UP_TO_DATE, "Up to date", "Nothing is waiting; new changes are written as they arrive.")


def _waiting(lost: Sequence[Awaited], where: str) -> State:
    names = " and ".join(each.name for each in lost)
    reasons = "; ".join(each.reason for each in lost)
    return State(
        Kind.WAITING,
        f"Waiting for {names}",
        f"{reasons}. Nothing is lost: changes stay {where}, and replication resumes automatically.",
        since=min(each.since for each in lost),
    )


def _behind(situation: Situation) -> State | None:
    """The state if there is a backlog that lasts, else None."""
    recent = [each for each in situation.samples if situation.now - each.at <= _LASTING]
    recent = recent or list(situation.samples[-1:])
    if not recent or min(each.backlog.waiting for each in recent) < BACKLOG:
        return None
    waiting = recent[-1].backlog.waiting
    messages = f"{waiting:,} messages are waiting in {'the queue' if situation.has_queue else 'memory'}"
    slope = _slope([each for each in situation.samples if situation.now - each.at <= _TREND])
    if slope is None:
        return State(Kind.CATCHING_UP, "Catching up", f"{messages}; how long that takes is not known yet.")
    if slope < 0 and (eta := waiting / -slope) <= _LONGEST_ETA:
        return State(
            Kind.CATCHING_UP, "Catching up", f"{messages}, {-slope:,.0f} fewer each second.", eta=eta
        )
    growth = f"{slope:,.0f} more each second" if slope >= 1 else "and the number is not shrinking"
    return State(Kind.FALLING_BEHIND, "Falling behind", f"{messages}, {growth}.")


def _slope(samples: Sequence[Sample]) -> float | None:
    """Growth of the backlog, messages per second, by least squares; None: too early to say."""
    if len(samples) < 2 or samples[-1].at - samples[0].at < _SHORTEST:  # noqa: PLR2004 - two points, a line
        return None
    times = [each.at for each in samples]
    waiting = [each.backlog.waiting for each in samples]
    middle = sum(times) / len(times)
    spread = sum((at - middle) ** 2 for at in times)
    return sum((at - middle) * number for at, number in zip(times, waiting, strict=True)) / spread
