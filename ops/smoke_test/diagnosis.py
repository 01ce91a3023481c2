"""How far a change came that did not arrive in MongoDB. Pure.

Law: a place is named only for what was seen there. SQS counts messages roughly, and not whose they are: so
the queue is named as where the change may be, and the dead-letter queue only for a letter of this run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ops.console.terminal import count
from ops.doctor.findings import Finding, not_well, unknown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ops.smoke_test.items import Step

CHECK = "arrival"
_STATUS = "See what holds it up: replicator status."


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter of this run: its code and its reason."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Places:
    """Where a change can be that has not arrived.

    Attributes:
        mongodb: why MongoDB cannot be read; empty: it can.
        differs: fields that its document has otherwise than it should; None: there is no other document.
        letter: its dead letter; None: none was found.
        letters_unknown: why dead letters could not be looked at; empty: all were.
        visible, in_flight: messages in the queue; None: not known.
        queue_unknown: why that is not known.
        writers: how many writers of this queue show a sign of life; None: not known.
        target: database and collection in which it was looked for.
    """

    mongodb: str = ""
    differs: Sequence[str] | None = None
    letter: Letter | None = None
    letters_unknown: str = ""
    visible: int | None = None
    in_flight: int | None = None
    queue_unknown: str = ""
    writers: int | None = None
    target: str = ""


def late(step: Step, seconds: float, places: Places) -> Finding:
    """The finding about a step that has not arrived in time."""
    said = f"The {step} did not arrive in MongoDB within {seconds:g} seconds"
    if places.letter is not None:
        return not_well(
            CHECK,
            f"{said}: it is parked ({places.letter.code}): {places.letter.reason}",
            "Fix the cause, then redrive or drop it: replicator dlq list.",
        )
    if places.mongodb:
        return unknown(
            CHECK, f"{said}, as far as can be told: {places.mongodb}", "Run this again when it answers."
        )
    if places.differs is not None:
        return not_well(
            CHECK,
            f"{said}: its document differs in {_named(places.differs)}",
            "The writers' mapping must name the table without any rules, such as replicator-smoke-test: {}.",
        )
    return not_well(CHECK, f"{said}: {_where(places)}{_unseen(places)}", _advice(places))


def _where(places: Places) -> str:
    if places.visible is None or places.in_flight is None:
        return f"it may be in the queue, which cannot be read: {places.queue_unknown}"
    if places.in_flight:
        held = f"with {places.in_flight:,} in flight and {places.visible:,} waiting"
        return f"it may be in the queue, {held}"
    if places.visible:
        waiting = f"{count(places.visible, 'message')} wait{'s' * (places.visible == 1)}"
        return f"it may be in the queue, where {waiting} and none is in flight"
    return (
        "the queue is empty, so it has not left the stream, or the writers wrote it elsewhere than to "
        f"{places.target}"
    )


def _unseen(places: Places) -> str:
    parts = []
    if places.writers is not None:
        parts.append(f"{places.writers or 'no'} writer{'s' * (places.writers != 1)} of this queue found")
    if places.letters_unknown:
        parts.append(f"whether it is parked is unknown: {places.letters_unknown}")
    return "".join(f"; {part}" for part in parts)


def _advice(places: Places) -> str:
    if places.writers == 0:
        return "Start the writers, with this MONGODB_URI and MONGODB_DATABASE."
    if places.visible == places.in_flight == 0:
        return "Look at the Lambda's log (replicator logs), and at MONGODB_URI and MONGODB_DATABASE."
    return _STATUS


def _named(fields: Sequence[str]) -> str:
    return ", ".join(fields[:8]) + (f" and {len(fields) - 8} more" if len(fields) > 8 else "")  # noqa: PLR2004
