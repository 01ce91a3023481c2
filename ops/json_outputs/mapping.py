"""What `check-config --json` prints."""

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict  # pydantic needs it before Python 3.12

from ops.json_outputs.declaring import BY_DOCSTRINGS


@BY_DOCSTRINGS
class MappingProblem(TypedDict):
    """A problem in a mapping, or a rule without effect."""

    setting: str
    """The setting, its names joined by dots; empty: the file as a whole."""
    text: str
    """What is wrong, and what is allowed there."""
    line: int
    """From 1; 0: unknown."""
    column: int
    """From 1; 0: unknown."""


@BY_DOCSTRINGS
class Parked(TypedDict):
    """Why changes are parked."""

    code: str
    """The reason's code, such as bad-conversion."""
    reason: str
    """The reason, as a sentence."""


@BY_DOCSTRINGS
class MappedTable(TypedDict):
    """Where the items of a table, or of all tables that fit a pattern, go."""

    database: NotRequired[str | None]
    """The database of its documents; null: that of the writer's settings, which is unknown."""
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


@BY_DOCSTRINGS
class MappedItem(TypedDict, total=False):
    """What becomes of an item of the sample."""

    database: str | None
    """The database of its documents; null: that of the writer's settings, which is unknown."""
    collection: str
    """Their collection."""
    parked: Parked
    """Instead of database and collection: why its changes are parked."""
    document: dict[str, Any] | None
    """The document, as relaxed Extended JSON; null: the hook returned None, so it is not replicated."""
    found_by: dict[str, Any]
    """The filter that finds the document, if it needs more than `_id`."""


@BY_DOCSTRINGS
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
