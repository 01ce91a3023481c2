"""The log lines of a batch. Never a document, a key, or a reason that could quote one.

At INFO a batch has none: its figures are in the sums of the line `state`, and logs cost by their bytes. At
DEBUG it has one with its own figures, and one for each message with the stream events in it, so that one
change can be followed.
"""

import logging
from collections.abc import Sequence

from shared.dead_letter import DeadLetter
from shared.envelope import event_ids
from writer.planning.plan import Plan
from writer.planning.settle import Settlement
from writer.ports import Message, Outcome
from writer.telemetry.observer import Batch, Result

log = logging.getLogger(__name__)


def log_batch(number: int, batch: Batch, plan: Plan, outcome: Outcome, settlement: Settlement) -> None:
    """Logs each dead letter and each older stream of a batch, and at DEBUG its figures and messages.

    `number` counts the batches of this process: all lines of a batch have it.
    """
    _log_parked(number, settlement.park)
    _log_older_streams(number, batch)
    if log.isEnabledFor(logging.DEBUG):
        _log_events(number, settlement.acknowledge)
        _log_figures(number, batch, plan, outcome)


def _log_figures(number: int, batch: Batch, plan: Plan, outcome: Outcome) -> None:
    oldest = max((lag.seconds for lag in batch.lags), default=None)
    log.debug(
        "batch applied",
        extra={
            "batch": number,
            "messages": batch.messages,
            "changes": batch.changes,
            "coalesced": plan.coalesced,
            "inserted": outcome.inserted,
            "modified": outcome.modified,
            "deleted": outcome.deleted,
            "stale": outcome.stale,
            "older_stream": sum(outcome.older_stream_at.values()),
            "parked": len(batch.parked),
            "given_back": batch.given_back,
            "plan_ms": _milliseconds(batch.plan),
            "apply_ms": _milliseconds(batch.apply),
            "settle_ms": _milliseconds(batch.settle),
            "lag_ms": None if oldest is None else round(oldest * 1000),
        },
    )


def _log_events(number: int, messages: Sequence[Message]) -> None:
    for message in messages:
        for events in event_ids(message.body):
            log.debug("changes applied", extra={"batch": number, "message_id": message.id, "events": events})


def _log_older_streams(number: int, batch: Batch) -> None:
    for table, _, result, changes in batch.counted:
        if result is Result.OLDER_STREAM:
            log.warning(
                "changes of an older stream were discarded",
                extra={"batch": number, "table": table, "changes": changes},
            )


def _log_parked(number: int, letters: Sequence[DeadLetter]) -> None:
    # Not the reason and not the key: both are in the dead letter.
    for letter in letters:
        log.warning(
            "a record was parked",
            extra={
                "batch": number,
                "code": letter.code,
                "table": letter.table,
                "sequence": letter.sequence,
                "message_id": letter.message_id,
                "event_id": letter.event_id,
            },
        )


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 1)
