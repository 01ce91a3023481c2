"""What the commands of a migration print with `--json`: one object, with what was found in each table."""

from typing import Any, NotRequired

from typing_extensions import TypedDict  # pydantic needs it before Python 3.12

from ops.json_outputs.declaring import BY_DOCSTRINGS, Time


@BY_DOCSTRINGS
class RecordedMapping(TypedDict):
    """What the writers have recorded of a table's mapping."""

    hash: str
    """Of the table's rules."""
    since: Time
    """Since when."""
    version: str | None
    """The writer's version; null: unknown."""
    queue: str
    """The queue that it drains."""


@BY_DOCSTRINGS
class UsedMapping(TypedDict):
    """The mapping that a command goes by."""

    file: str | None
    """Its file; null: none."""
    hash: str
    """Of the table's rules."""
    recorded: RecordedMapping | None
    """That of the writers; null: unknown."""


@BY_DOCSTRINGS
class CopiedTable(TypedDict):
    """A table in what `backfill --json` prints; after an error without what was found."""

    table: str
    """Its name."""
    status: int
    """The exit status that it would have alone."""
    error: str | None
    """Why the command did not do its work; null: it did."""
    target: NotRequired[str]
    """Database and collection."""
    mapping: NotRequired[UsedMapping]
    """The mapping that it went by."""
    was_finished: NotRequired[bool]
    """Whether an earlier run had finished it."""
    started: NotRequired[Time]
    """When the copy began."""
    finished: NotRequired[Time]
    """When it ended."""
    read: NotRequired[int]
    """Items that were read."""
    copied: NotRequired[int]
    """Documents that were written."""
    existing: NotRequired[int]
    """Documents that had a version already, or were deleted since; they were not compared."""
    skipped: NotRequired[int]
    """Items that the hook left out."""
    rejected: NotRequired[int]
    """Items that cannot be copied."""
    advice: NotRequired[str | None]
    """What to run next; null: nothing."""


@BY_DOCSTRINGS
class BackfillOutput(TypedDict):
    """What `backfill --json` prints."""

    status: int
    """The exit status, which is the most serious one."""
    tables: list[CopiedTable]
    """The tables, in their order."""


@BY_DOCSTRINGS
class VerifiedTable(TypedDict):
    """A table in what `verify --json` prints; after an error without what was found."""

    table: str
    """Its name."""
    status: int
    """The exit status that it would have alone."""
    error: str | None
    """Why the command did not do its work; null: it did."""
    target: NotRequired[str]
    """Database and collection."""
    rules: NotRequired[str]
    """A hash of the table's rules and target."""
    started: NotRequired[Time]
    """When it began."""
    at: NotRequired[Time]
    """When it ended."""
    complete: NotRequired[bool]
    """Whether all was compared, not a sample."""
    sample: NotRequired[int | None]
    """How many items and documents were compared; null: all."""
    settle: NotRequired[float]
    """Seconds that a difference had to stay."""
    clean: NotRequired[bool | None]
    """Whether there is no difference; null: keys kept changing, and nothing else differs."""
    items: NotRequired[int]
    """Items that were compared."""
    documents: NotRequired[int]
    """Documents that were looked at."""
    missing: NotRequired[int]
    """Items without a document."""
    different: NotRequired[int]
    """Documents that are not what the mapping makes of their item."""
    extra: NotRequired[int]
    """Documents without an item."""
    unmappable: NotRequired[int]
    """Items that cannot become documents."""
    impossible: NotRequired[int]
    """Versions that no change can have."""
    repaired: NotRequired[int]
    """Documents that a repair wrote, which a redelivered change can still undo."""
    marked: NotRequired[int]
    """Documents of deleted items, marked."""
    of_applications: NotRequired[int]
    """Documents that replication did not write."""
    in_flight: NotRequired[int]
    """Keys whose sides kept changing, so they are unknown."""
    mapping: NotRequired[UsedMapping]
    """The mapping that it went by."""
    repaired_examples: NotRequired[list[Any]]
    """The ids of some documents that a repair wrote, as relaxed Extended JSON."""


@BY_DOCSTRINGS
class VerifyOutput(TypedDict):
    """What `verify --json` prints."""

    status: int
    """The exit status, which is the most serious one."""
    tables: list[VerifiedTable]
    """The tables, in their order."""


@BY_DOCSTRINGS
class RepairedTable(TypedDict):
    """A table in what `repair --json` prints; after an error without what was found."""

    table: str
    """Its name."""
    status: int
    """The exit status that it would have alone."""
    error: str | None
    """Why the command did not do its work; null: it did."""
    target: NotRequired[str]
    """Database and collection."""
    mapping: NotRequired[UsedMapping]
    """The mapping that it went by."""
    dry_run: NotRequired[bool]
    """Whether nothing was written."""
    declined: NotRequired[bool]
    """Whether the answer was no."""
    to_write: NotRequired[int]
    """In a dry run: documents to write."""
    to_delete: NotRequired[int]
    """In a dry run: documents to delete."""
    repaired: NotRequired[int]
    """Differences that were repaired."""
    moved_on: NotRequired[int]
    """Differences that were gone at the next look."""
    left: NotRequired[int]
    """Differences that are left."""
    left_examples: NotRequired[list[str]]
    """Some of those that are left, and why."""
    repaired_examples: NotRequired[list[str]]
    """Keys or `_id`s of some that were repaired: an older change that arrives later can undo that."""
    in_flight: NotRequired[int | None]
    """Keys that kept changing while they were compared; null: a report was given, and nothing compared."""


@BY_DOCSTRINGS
class RepairOutput(TypedDict):
    """What `repair --json` prints."""

    status: int
    """The exit status, which is the most serious one."""
    tables: list[RepairedTable]
    """The tables, in their order."""


@BY_DOCSTRINGS
class Comparison(TypedDict):
    """A comparison of a table with its collection."""

    target: str
    """Database and collection."""
    rules: str
    """A hash of the table's rules and target."""
    started: Time
    """When it began."""
    at: Time
    """When it ended."""
    complete: bool
    """Whether all was compared, not a sample."""
    sample: int | None
    """How many items and documents were compared; null: all."""
    settle: float
    """Seconds that a difference had to stay."""
    clean: bool | None
    """Whether there is no difference; null: keys kept changing, and nothing else differs."""
    items: int
    """Items that were compared."""
    documents: int
    """Documents that were looked at."""
    missing: int
    """Items without a document."""
    different: int
    """Documents that are not what the mapping makes of their item."""
    extra: int
    """Documents without an item."""
    unmappable: int
    """Items that cannot become documents."""
    impossible: int
    """Versions that no change can have."""
    repaired: int
    """Documents that a repair wrote, which a redelivered change can still undo."""
    marked: int
    """Documents of deleted items, marked."""
    of_applications: int
    """Documents that replication did not write."""
    in_flight: int
    """Keys whose sides kept changing, so they are unknown."""
    repaired_examples: list[Any]
    """The ids of some documents that a repair wrote, as relaxed Extended JSON."""


@BY_DOCSTRINGS
class Repairs(TypedDict):
    """What became of the differences."""

    dry_run: bool
    """Whether nothing was written."""
    declined: bool
    """Whether the answer was no."""
    to_write: int
    """In a dry run: documents to write."""
    to_delete: int
    """In a dry run: documents to delete."""
    repaired: int
    """Differences that were repaired."""
    moved_on: int
    """Differences that were gone at the next look."""
    left: int
    """Differences that are left."""
    left_examples: list[str]
    """Some of those that are left, and why."""
    repaired_examples: list[str]
    """Keys or `_id`s of some that were repaired: an older change that arrives later can undo that."""


@BY_DOCSTRINGS
class ResyncedTable(TypedDict):
    """A table in what `resync --json` prints; after an error without what was found."""

    table: str
    """Its name."""
    status: int
    """The exit status that it would have alone."""
    error: str | None
    """Why the command did not do its work; null: it did."""
    target: NotRequired[str]
    """Database and collection."""
    mapping: NotRequired[UsedMapping]
    """The mapping that it went by."""
    before: NotRequired[Comparison]
    """The first comparison."""
    repairs: NotRequired[Repairs]
    """What became of its differences."""
    after: NotRequired[Comparison | None]
    """The comparison after the repair; null: nothing was repaired."""


@BY_DOCSTRINGS
class ResyncOutput(TypedDict):
    """What `resync --json` prints."""

    status: int
    """The exit status, which is the most serious one."""
    tables: list[ResyncedTable]
    """The tables, in their order."""


@BY_DOCSTRINGS
class CutoverCheck(TypedDict):
    """A check of what `plan-cutover --json` prints."""

    check: str
    """What is checked."""
    well: bool | None
    """Null: unknown."""
    text: str
    """What was found."""
    advice: str | None
    """What to do; null: nothing."""


@BY_DOCSTRINGS
class CutoverOutput(TypedDict):
    """What `plan-cutover --json` prints."""

    table: str
    """The table."""
    ready: bool | None
    """Whether applications may move; null: nothing is wrong, but not all is known."""
    mapping: UsedMapping
    """The mapping that it went by."""
    checks: list[CutoverCheck]
    """All that was checked."""
