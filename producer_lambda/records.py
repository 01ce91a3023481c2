"""Lambda event → changes. Pure: a record that cannot be parsed is data (`Malformed`), not an exception."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from shared.change import Change
from shared.errors import FatalError, PoisonError
from shared.keys import canonical_key
from shared.nesting import WRITABLE_LEVELS, is_deeper
from shared.stream_record import change_of, stream_of


class Parsed(NamedTuple):
    """One record's change.

    Attributes:
        position: the record's index in the event.
        key: the item's canonical key.
    """

    position: int
    change: Change
    key: bytes


@dataclass(frozen=True, slots=True)
class Malformed:
    """A record that cannot become a change, to be parked as it came.

    Attributes:
        record: the record as ASCII JSON.
    """

    position: int
    code: str
    reason: str
    record: str
    table: str
    sequence: str


class Records:
    """The changes of a stream event, in order; each record is parsed when its change is asked for.

    Attributes:
        malformed: the records so far that are not changes.
        oldest: creation time of the first change that has one, milliseconds since the epoch: a stream hands
            out older records first; None: there was none yet.
        table: that the records are of: an event comes from one stream. Empty: no record named one yet.
    """

    def __init__(self, event: Any, old_image_fields: frozenset[str] = frozenset()) -> None:
        """Checks the event, and none of its records yet.

        Args:
            event: what Lambda hands to the handler.
            old_image_fields: attributes whose old values travel with the change.

        Raises:
            FatalError: not a DynamoDB stream event.
        """
        records = event.get("Records") if isinstance(event, dict) else None
        if not isinstance(records, Sequence) or isinstance(records, str):
            raise FatalError("the event is not from a DynamoDB stream: it has no list of Records")
        self._records = records
        self._old_image_fields = old_image_fields
        self.malformed: list[Malformed] = []
        self.oldest: int | None = None
        self.table = ""

    def __iter__(self) -> Iterator[Parsed]:
        """Parses the records.

        Raises:
            FatalError: the stream's view type has no new image: nothing can be replicated, and skipping the
                record would hide that.
        """
        for position, record in enumerate(self._records):
            try:
                change = change_of(record, self._old_image_fields)
                parsed = Parsed(position, change, canonical_key(change.key))
            except PoisonError as error:
                self.malformed.append(_malformed(position, record, error))
                self.table = self.table or self.malformed[-1].table
                continue
            self.table = change.table
            if self.oldest is None:
                self.oldest = change.at
            yield parsed


def _malformed(position: int, record: Any, error: PoisonError) -> Malformed:
    table, sequence = _table_and_sequence(record)
    if isinstance(record, dict | list) and is_deeper(record, WRITABLE_LEVELS):
        # JSON may not hold the record; its table and number still say which one it was.
        record = {"table": table, "sequence": sequence, "record": "nested too deep to be written"}
    text = json.dumps(record, default=repr)
    return Malformed(position, error.code, error.reason, text, table, sequence)


def _table_and_sequence(record: Any) -> tuple[str, str]:
    """What a malformed record still says about itself; empty where it says nothing."""
    if not isinstance(record, dict):
        return "", ""
    try:
        table, _ = stream_of(record.get("eventSourceARN"))
    except PoisonError:
        table = ""
    body = record.get("dynamodb")
    sequence = body.get("SequenceNumber") if isinstance(body, dict) else None
    return table, sequence if isinstance(sequence, str) else ""
