"""What went wrong, and what to do about it: tables for troubles, changes and dead letters. Pure.

docs/operations.md has the same codes; a test compares them.
"""

from __future__ import annotations

import shlex
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from writer.telemetry.observer import Cause, Result

if TYPE_CHECKING:
    from collections.abc import Mapping


class Advice(NamedTuple):
    """What it means, and what a person should do; both are sentences.

    The command looks at dead letters, or redrives them. It lacks their code and the queues.
    """

    meaning: str
    do: str
    command: str = ""

    def without_queue(self) -> Advice:
        """The same for a process that reads the streams itself, and keeps dead letters in MongoDB."""
        words = (_in_other_words(self.meaning), _in_other_words(self.do))
        return Advice(*words, f"{self.command} --mongodb" if self.command else "")


_WITHOUT_QUEUE = {
    "restart the writers": "restart this process",
    "Update the writer before the producer": "Update this process",
    "A queue message": "A message",
    "in a queue message": "in a message",
    "Bring it back within 14 days": "Bring it back within 24 hours: streams keep changes for so long",
    "in the writers' logs": "in what this process printed",
    "into the writers' logs": "into what this process printed",
    ", so another writer may have them": "",
    "a dying writer": "a dying process",
    "This writer": "This process",
}
"""Words about the queue and its writers, and what is right where there are none."""


def _in_other_words(text: str) -> str:
    for words, others in _WITHOUT_QUEUE.items():
        text = text.replace(words, others)
    return text


_LIST, _REDRIVE = "replicator dlq list", "replicator dlq redrive"
_MALFORMED = "Find out what sent it. Drop it if no producer did."

TROUBLES: Mapping[str, Advice] = MappingProxyType(
    {
        Cause.DYNAMODB: Advice(
            "DynamoDB or its streams do not answer, or throttle.",
            "Check network, permissions and quotas. A stream keeps changes for 24 hours.",
        ),
        Cause.MONGODB: Advice(
            "MongoDB does not answer, has no primary, or cannot confirm writes on a majority.",
            "Bring it back within 14 days. The same writes are retried until they succeed.",
        ),
        Cause.SQS: Advice(
            "SQS does not answer, throttles, or refuses the dead-letter queue.",
            "Check network, permissions and quotas. The same calls are retried until they succeed.",
        ),
        Cause.LOCK_LOST: Advice(
            "Messages were held for longer than their lock, so another writer may have them.",
            "Nothing is written twice. If it repeats, find out why this machine froze.",
        ),
        Cause.HEALABLE: Advice(
            "Another document has the same value in a unique index of yours; the change is retried.",
            "If this does not resolve itself, free the value, and redrive what became a dead letter.",
        ),
        Cause.REFUSED: Advice(
            "MongoDB refuses writes of a table, but not because of the records: a permission may be missing.",
            "Fix what the reason names. The writes are retried; a missing permission parks nothing.",
        ),
        Cause.SWEPT: Advice(
            "A document that a dying writer had brought back was removed.",
            "Nothing to do. If it repeats, find out why machines freeze.",
        ),
    }
)
"""By the cause of a trouble."""

CHANGES: Mapping[str, Advice] = MappingProxyType(
    {
        Result.OLDER_STREAM: Advice(
            "Changes come from an older stream of the table than the data in MongoDB.",
            'They are discarded. To follow that stream from now, see "Another stream" in docs/migration.md.',
        ),
    }
)
"""By the result of changes that a person should know of."""

DEAD_LETTERS: Mapping[str, Advice] = MappingProxyType(
    {
        **dict.fromkeys(
            ("bad-attribute", "bad-number", "bad-record"),
            Advice("A stream record is malformed.", _MALFORMED, _LIST),
        ),
        "bad-envelope": Advice("A queue message is not one that a producer writes.", _MALFORMED, _LIST),
        "unknown-version": Advice(
            "A queue message comes from another version of the producer.",
            "Update the writer before the producer, then redrive it.",
            _REDRIVE,
        ),
        **dict.fromkeys(
            ("bad-change", "bad-version", "bad-value"),
            Advice("One change in a queue message is malformed.", _MALFORMED, _LIST),
        ),
        "bad-key": Advice(
            "The item's key attributes are not those that the mapping names.",
            "Fix key in replication.yaml, restart the writers, then redrive it.",
            _REDRIVE,
        ),
        "unnamed-table": Advice(
            "The mapping does not name the table, and refuses unnamed tables.",
            "Is it one of yours? Name it in replication.yaml, restart the writers, then redrive it.",
            _REDRIVE,
        ),
        "too-many-tables": Advice(
            "This writer already replicates its maximum of tables without an entry of their own.",
            "Name the table in replication.yaml, restart the writers, then redrive it.",
            _REDRIVE,
        ),
        "bad-collection": Advice(
            "MongoDB cannot have a collection of that name, or the collection belongs to another table.",
            "Name a collection in replication.yaml, restart the writers, then redrive it.",
            _REDRIVE,
        ),
        "bad-conversion": Advice(
            "A field's conversion does not accept its value.",
            "Fix the item, or the conversion in replication.yaml, then redrive it.",
            _REDRIVE,
        ),
        "bad-rename": Advice(
            "A field is renamed to a name that the item already has.",
            "Choose another name in replication.yaml, restart the writers, then redrive it.",
            _REDRIVE,
        ),
        "hook-failed": Advice(
            "The table's hook raised, or returned no document.",
            "Fix the hook, restart the writers, then redrive it.",
            _REDRIVE,
        ),
        **dict.fromkeys(
            ("not-bson", "too-deep", "too-large", "not-encodable"),
            Advice(
                "MongoDB or JSON cannot hold the item.",
                "Drop or convert the field in replication.yaml, or shorten the item, then redrive it.",
                _REDRIVE,
            ),
        ),
        "mongodb-11000": Advice(
            "Another document has the same value in a unique index of yours; the reason names the index.",
            "Free the value in MongoDB, or drop the index, then redrive it.",
            _REDRIVE,
        ),
        "mongodb-121": Advice(
            "The collection's schema validation refused the document.",
            "Fix the validator or the item, then redrive it.",
            _REDRIVE,
        ),
        "refused-by-sqs": Advice("SQS refused the message.", "The reason is in the dead letter.", _LIST),
        "moved-by-sqs": Advice(
            "SQS moved the message after too many deliveries.",
            "Find out why in the writers' logs, fix it, then redrive it.",
            _REDRIVE,
        ),
        "not-said": Advice(
            "The reason did not fit beside the message.",
            "Search the logs for: a record was parked.",
            _LIST,
        ),
    }
)
"""By the code of a dead letter, except for MongoDB's other codes."""

_REFUSED_BY_MONGODB = Advice(
    "MongoDB refused this change, but took others of its table.",
    "Look up the code in MongoDB's manual, fix it, then redrive it.",
    _REDRIVE,
)
_UNKNOWN = Advice("A record cannot be applied.", "The reason is in the dead letter.", _LIST)


def for_dead_letter(code: str) -> Advice:
    """The advice for a dead letter; its command lacks the queues only."""
    unlisted = _REFUSED_BY_MONGODB if code.startswith("mongodb-") else _UNKNOWN
    advice = DEAD_LETTERS.get(code, unlisted)
    return advice._replace(command=f"{advice.command} --code {shlex.quote(code)}")
