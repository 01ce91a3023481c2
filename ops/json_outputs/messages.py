"""What `logs`, `dlq` and `peek` print with `--json`, line by line."""

from collections.abc import Mapping
from typing import Annotated, Any, NotRequired

from pydantic import WithJsonSchema
from typing_extensions import TypedDict  # pydantic needs it before Python 3.12

from ops.json_outputs.declaring import BY_DOCSTRINGS, Time


@BY_DOCSTRINGS
class LogLine(TypedDict):
    """A line of what `logs --json` prints."""

    time: Time
    """When it was logged."""
    group: str
    """Its log group."""
    stream: str
    """Its log stream."""
    level: str | None
    """Such as INFO; null: the line is not one of the pipeline's own."""
    message: str
    """The message, or the line as it is."""
    fields: dict[str, Any]
    """The other fields of the line."""

    error: NotRequired[str]
    """The traceback, if there is one."""


@BY_DOCSTRINGS
class ChangeOutput(TypedDict):
    """A change, as the queue holds it."""

    op: Annotated[str, WithJsonSchema({"type": "string", "enum": ["put", "delete"]})]
    """What the change is."""
    key: Mapping[str, Any]
    """The item's key: values by attribute."""
    sequence: str
    """Its sequence number in the stream."""
    at: Time | None
    """When the item was changed; null: unknown."""
    event_id: str
    """The id of the stream record; empty: it has none."""
    ttl: bool
    """Whether time to live deleted the item."""
    document: Mapping[str, Any] | None
    """The item after the change; null: it was deleted."""


@BY_DOCSTRINGS
class UnreadableChange(TypedDict):
    """A change that cannot be read."""

    unreadable: str
    """Why."""
    as_it_came: str
    """Its text in the message."""


@BY_DOCSTRINGS
class DeadLetterOutput(TypedDict):
    """A line of what `dlq list --json` and `dlq show --json` print: one dead letter."""

    id: str
    """The SQS message id; with --mongodb the letter's own id."""
    code: str
    """The reason's code, such as bad-conversion."""
    reason: str
    """Why it is in the dead-letter queue, as a sentence."""
    table: str | None
    """The DynamoDB table; null: unknown."""
    key: Mapping[str, Any] | None
    """The key of its first item: values by attribute; null: unknown."""
    sequence: str | None
    """The sequence number of its first change; null: unknown."""
    sent_at: Time
    """When it was sent to the dead-letter queue, or parked."""
    receives: int
    """How often it was received, including this time; with --mongodb 1."""
    lane: str
    """The message group to which redriving sends it."""
    origin: str | None
    """The id of the message or stream record that it came from; null: unknown."""
    unreadable: str | None
    """Why it cannot be applied as it is; null: it can."""
    changes: list[ChangeOutput | UnreadableChange]
    """Its changes, oldest first."""
    body: str
    """The body of the message."""


@BY_DOCSTRINGS
class QueuedMessage(TypedDict):
    """A line of what `peek --json` prints: one message."""

    id: str
    """The SQS message id."""
    group: str
    """Its message group."""
    sent_at: Time
    """When it was sent."""
    receives: int
    """How often it was received, including this time."""
    table: str | None
    """The DynamoDB table; null: unknown."""
    unreadable: str | None
    """Why it cannot be applied; null: it can."""
    changes: list[ChangeOutput | UnreadableChange]
    """Its changes, oldest first."""
    body: str | None
    """The body, if it cannot be read; else null."""
