"""What the commands print with `--json`: the one declaration, of which `ops/schemas/` is made.

mypy checks what the commands build by it, and tests what they print. A new field is a field here, with its
docstring. A key of an item is an object everywhere, a time is ISO 8601 with its zone, and null is what is not
known or not there. Who needs the types alone imports this for type checking: pydantic takes a while to load.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,  # pydantic needs them before Python 3.12
)

from pydantic import ConfigDict, TypeAdapter, WithJsonSchema, with_config
from typing_extensions import TypedDict

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_BY_DOCSTRINGS = with_config(ConfigDict(use_attribute_docstrings=True, extra="forbid"))

Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
"""ISO 8601, with its zone."""


@_BY_DOCSTRINGS
class MappingProblem(TypedDict):
    """A problem in a mapping, or a rule without effect."""

    setting: str
    """The setting, its names joined by dots; empty: the file as a whole."""
    text: str
    """What is wrong, and what is allowed there."""
    line: int
    """From 1; 0: not known."""
    column: int
    """From 1; 0: not known."""


@_BY_DOCSTRINGS
class Parked(TypedDict):
    """Why changes are parked."""

    code: str
    """The reason's code, such as bad-conversion."""
    reason: str
    """The reason, as a sentence."""


@_BY_DOCSTRINGS
class MappedTable(TypedDict):
    """Where the items of a table, or of all tables that fit a pattern, go."""

    database: NotRequired[str | None]
    """The database of its documents; null: that of the writer's settings, which is not known."""
    collection: NotRequired[str]
    """Their collection."""
    parked: NotRequired[Parked]
    """Instead of database and collection: why its changes are parked."""
    name: str
    """The table, or the pattern."""
    entry: str | None
    """The entry of the file that it follows; null: the defaults."""
    settings: dict[str, Any]
    """The entry's settings, defaults included."""


@_BY_DOCSTRINGS
class MappedItem(TypedDict, total=False):
    """What becomes of an item of the sample."""

    database: str | None
    """The database of its documents; null: that of the writer's settings, which is not known."""
    collection: str
    """Their collection."""
    parked: Parked
    """Instead of database and collection: why its changes are parked."""
    document: dict[str, Any] | None
    """The document, as relaxed Extended JSON; null: the hook returned None, so it is not replicated."""
    found_by: dict[str, Any]
    """The filter that finds the document, if it needs more than `_id`."""


@_BY_DOCSTRINGS
class CheckedMapping(TypedDict):
    """What `check-config --json` prints."""

    file: str
    """The name of the file."""
    valid: bool
    """Whether there are neither problems nor parked tables or items."""
    problems: list[MappingProblem]
    """What is wrong. If there are any, the fields below are not there."""
    warnings: list[MappingProblem]
    """Rules that have no effect."""

    unnamed_tables: NotRequired[Literal["replicate", "refuse"]]
    """What becomes of tables without an entry."""
    tables: NotRequired[list[MappedTable]]
    """The entries, or the table that was asked for."""
    items: NotRequired[list[MappedItem]]
    """What becomes of the items of the sample, if there is one."""


@_BY_DOCSTRINGS
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


@_BY_DOCSTRINGS
class ChangeOutput(TypedDict):
    """A change, as the queue holds it."""

    op: Annotated[str, WithJsonSchema({"type": "string", "enum": ["put", "delete"]})]
    """What the change is."""
    key: Mapping[str, Any]
    """The item's key: values by attribute."""
    sequence: str
    """Its sequence number in the stream."""
    at: Time | None
    """When the item was changed; null: not known."""
    event_id: str
    """The id of the stream record; empty: it has none."""
    ttl: bool
    """Whether time to live deleted the item."""
    document: Mapping[str, Any] | None
    """The item after the change; null: it was deleted."""


@_BY_DOCSTRINGS
class UnreadableChange(TypedDict):
    """A change that cannot be read."""

    unreadable: str
    """Why."""
    as_it_came: str
    """Its text in the message."""


@_BY_DOCSTRINGS
class DeadLetterOutput(TypedDict):
    """A line of what `dlq list --json` and `dlq show --json` print: one dead letter."""

    id: str
    """The SQS message id."""
    code: str
    """The reason's code, such as bad-conversion."""
    reason: str
    """Why it is in the dead-letter queue, as a sentence."""
    table: str | None
    """The DynamoDB table; null: not known."""
    key: Mapping[str, Any] | None
    """The key of its first item: values by attribute; null: not known."""
    sequence: str | None
    """The sequence number of its first change; null: not known."""
    sent_at: Time
    """When it was sent to the dead-letter queue."""
    receives: int
    """How often it was received, including this time."""
    lane: str
    """The message group to which redriving sends it."""
    origin: str | None
    """The id of the message or stream record that it came from; null: not known."""
    unreadable: str | None
    """Why it cannot be applied as it is; null: it can."""
    changes: list[ChangeOutput | UnreadableChange]
    """Its changes, oldest first."""
    body: str
    """The body of the message."""


@_BY_DOCSTRINGS
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
    """The DynamoDB table; null: not known."""
    unreadable: str | None
    """Why it cannot be applied; null: it can."""
    changes: list[ChangeOutput | UnreadableChange]
    """Its changes, oldest first."""
    body: str | None
    """The body, if it cannot be read; else null."""


@_BY_DOCSTRINGS
class DoctorCheck(TypedDict):
    """One thing that `doctor` looked at."""

    subject: str
    """What it belongs to, such as Queues."""
    check: str
    """Which check it is, a word that stays the same, such as queue-fifo."""
    well: bool | None
    """Whether it is well; null: not known."""
    text: str
    """What was seen, as a sentence."""
    advice: str | None
    """What to do; null where it is well."""


@_BY_DOCSTRINGS
class DoctorOutput(TypedDict):
    """What `doctor --json` prints."""

    well: bool | None
    """Whether all is well; null: nothing is wrong, but something is not known."""
    checks: list[DoctorCheck]
    """All that was looked at, in the order in which people see it."""


@_BY_DOCSTRINGS
class StatusTable(TypedDict):
    """A table that the Lambda reads."""

    name: str
    """The table."""
    stream_view: str | None
    """The view type of its stream; off: it has none; null: not known."""
    mapping: str
    """The state of the event source mapping, such as Enabled."""
    mapping_id: str
    """The id of that mapping."""
    last_result: str | None
    """The result of the Lambda's last invocation, in AWS's words; null: not known."""
    reads_latest_stream: bool | None
    """Whether the mapping reads the table's current stream; null: not known."""


@_BY_DOCSTRINGS
class StatusQueue(TypedDict):
    """The queue; SQS calls the numbers approximate."""

    visible: int
    """Messages that wait."""
    in_flight: int
    """Messages that a writer holds."""
    delayed: int
    """Messages that cannot be received yet."""
    oldest_seconds: float | None
    """The age of the oldest message; null: not known."""
    finishes_messages: bool | None
    """Whether messages in flight are finished; null: not known, or none is in flight."""
    watched_seconds: float
    """For how long was looked whether they are."""


@_BY_DOCSTRINGS
class Wait(TypedDict):
    """What a writer waits for."""

    reason: str
    """Why."""
    since: Time
    """Since when."""


@_BY_DOCSTRINGS
class StatusWriter(TypedDict):
    """A writer."""

    url: str | None
    """Its status server; null: it can be asked from its own machine only."""
    host: str | None
    """The name of its machine; null: not known."""
    ready: bool | None
    """Whether it is ready; null: not known."""
    error: str | None
    """Why it does not answer; null: it does."""
    waiting_for: dict[str, Wait]
    """What it waits for, by name."""
    seen: Time | None
    """When it last renewed its record in MongoDB; null: not known."""
    in_flight: int | None
    """Messages that it holds; null: not known."""
    changes_per_second: float | None
    """Changes that it finishes just now; null: not known."""
    older_stream_changes: dict[str, int] | None
    """Changes of an older stream in the last 15 minutes, by table; null: not known."""


@_BY_DOCSTRINGS
class StatusOutput(TypedDict):
    """What `status --json` prints; with `--watch`, a line of it."""

    well: bool | None
    """Whether all is well; null: nothing is known to be wrong, but `unknown` is not empty."""
    problems: list[str]
    """What is not well, as sentences with what helps."""
    unknown: list[str]
    """What was not seen although it matters, as sentences."""
    notes: list[str]
    """What a person should know and need not be woken for, as sentences."""
    at: Time
    """When it was read."""
    function: str | None
    """The Lambda function; null: not known."""
    tables: list[StatusTable] | None
    """The tables that it reads; null: not known."""
    iterator_age_seconds: float | None
    """The age of the last records that the Lambda got; null: not known, or the stream is idle."""
    stream_is_idle: bool
    """Whether CloudWatch has seen no invocation for ten minutes."""
    queue: StatusQueue
    """The queue."""
    dead_letters: int
    """How many dead letters there are."""
    behind_seconds_at_most: float | None
    """How far MongoDB is behind DynamoDB at most; null: not known."""
    writers: list[StatusWriter]
    """The writers that should run."""
    ended_writers: list[StatusWriter]
    """Those that ended without saying so."""


OUTPUTS: Mapping[str, Any] = {
    "check-config": CheckedMapping,
    "dlq list": DeadLetterOutput,
    "dlq show": DeadLetterOutput,
    "doctor": DoctorOutput,
    "logs": LogLine,
    "peek": QueuedMessage,
    "status": StatusOutput,
}
"""By command: what it prints, on the whole or a line."""


def file_name(command: str) -> str:
    """The name of a command's schema in `ops/schemas/`."""
    return f"{command.replace(' ', '-')}.schema.json"


def schema_of(command: str) -> dict[str, Any]:
    """The JSON Schema of what a command prints."""
    made = TypeAdapter(OUTPUTS[command]).json_schema()
    return {"$schema": _DIALECT, **made, "title": f"replicator {command} --json"}


def schema_text(command: str) -> str:
    """The schema as the text of its file."""
    return json.dumps(schema_of(command), indent=2) + "\n"


def main(folder: str) -> None:
    """Writes all schemas into a folder."""
    for command in OUTPUTS:
        Path(folder, file_name(command)).write_text(schema_text(command), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
