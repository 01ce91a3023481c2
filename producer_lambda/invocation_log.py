"""What an invocation logs: one line of figures. Never a document or a key.

At DEBUG also which stream events went into which message, so that one change can be followed.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from shared.emf import Split, Unit, with_metrics
from shared.envelope import event_ids
from shared.sqs_answers import Fate, Verdict

log = logging.getLogger(__name__)

UNITS = {
    "records": Unit.COUNT,
    "changes": Unit.COUNT,
    "coalesced": Unit.COUNT,
    "messages": Unit.COUNT,
    "bytes": Unit.BYTES,
    "parked": Unit.COUNT,
    "failed": Unit.COUNT,
    "iterator_age_ms": Unit.MILLISECONDS,
}
"""The fields that become CloudWatch metrics."""

DIMENSION = "FunctionName"

TABLE_METRIC = "records"
"""The metric that is there for each table, too: an alarm compares it with what is written to the table."""
TABLE_DIMENSION = "Table"


def log_forwarded(
    fields: Mapping[str, int], oldest: int | None, table: str, function: str | None, now: float
) -> None:
    """The one line of an invocation.

    Args:
        fields: its figures.
        oldest: creation time of the oldest change, milliseconds since the epoch; None: there was no change.
        table: of the stream that the event is from; empty: no record names one.
        function: name of the Lambda function; None: not in Lambda, so no metrics.
        now: seconds since the epoch.
    """
    split = Split(TABLE_METRIC, TABLE_DIMENSION, table) if table else None
    age = None if oldest is None else max(0, round(now * 1000) - oldest)
    log.info(
        "event forwarded" if not fields["failed"] else "event forwarded in part",
        extra=with_metrics({**fields, "iterator_age_ms": age}, UNITS, DIMENSION, function, now, split=split),
    )


def log_sent(entries: Sequence[Mapping[str, Any]], found: Mapping[str, Verdict]) -> None:
    """At DEBUG, which stream events are in which message: of the entries of a call those that are done."""
    if not log.isEnabledFor(logging.DEBUG):
        return
    for entry in entries:
        if found[entry["Id"]].fate is Fate.DONE:
            for events in event_ids(entry["MessageBody"]):
                log.debug(
                    "message sent", extra={"message_id": found[entry["Id"]].message_id, "events": events}
                )
