"""What becomes of a record that becomes no message: a dead letter. Pure."""

import json

from producer_lambda.packing import Unsendable
from producer_lambda.records import Malformed
from shared.change import Change
from shared.dead_letter import DeadLetter, as_it_came


def letter_of(lost: Malformed | Unsendable, limit: int) -> DeadLetter:
    """Returns the letter.

    Args:
        lost: the record, or its change.
        limit: the dead-letter queue's `MaximumMessageSize`, bytes.
    """
    if isinstance(lost, Malformed):
        table, sequence, text = lost.table, lost.sequence, lost.record
    else:
        table, sequence, text = lost.change.table, lost.change.sequence, _text_of(lost.change)
    return DeadLetter(
        body=as_it_came(text, limit),
        group=f"{table[:80] or 'unknown'}/malformed",
        code=lost.code,
        reason=lost.reason,
        table=table,
        sequence=sequence,
    )


def _text_of(change: Change) -> str:
    return json.dumps({"op": change.op.value, "key": change.key, "seq": change.sequence, "doc": change.image})
