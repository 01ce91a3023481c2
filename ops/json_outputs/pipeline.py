"""What `status`, `doctor` and `smoke-test` print with `--json`."""

from typing_extensions import TypedDict  # pydantic needs it before Python 3.12

from ops.json_outputs.declaring import BY_DOCSTRINGS, Time


@BY_DOCSTRINGS
class DoctorCheck(TypedDict):
    """One thing that `doctor` looked at."""

    subject: str
    """What it belongs to, such as Queues."""
    check: str
    """Which check it is, a word that stays the same, such as queue-fifo."""
    well: bool | None
    """Whether it is well; null: unknown."""
    text: str
    """What was seen, as a sentence."""
    advice: str | None
    """What to do; null where it is well."""


@BY_DOCSTRINGS
class DoctorOutput(TypedDict):
    """What `doctor --json` prints."""

    well: bool | None
    """Whether all is well; null: nothing is wrong, but something is unknown."""
    checks: list[DoctorCheck]
    """All that was looked at, in the order in which people see it."""


@BY_DOCSTRINGS
class SmokeTestSeconds(TypedDict):
    """How long each step took to arrive in MongoDB, seconds; null: it did not, or was not made."""

    put: float | None
    """The items were put."""
    change: float | None
    """They were changed."""
    delete: float | None
    """They were deleted."""


@BY_DOCSTRINGS
class SmokeTestOutput(TypedDict):
    """What `smoke-test --json` prints. It has no account ids, ARNs, URLs or addresses."""

    well: bool | None
    """Whether all is well; null: nothing is wrong, but something is unknown."""
    version: str
    """Name and version of this program."""
    region: str
    """The AWS region."""
    started: Time
    """When the test began."""
    seconds: SmokeTestSeconds
    """How long each step took."""
    checks: list[DoctorCheck]
    """All that was looked at, in the order in which people see it."""


@BY_DOCSTRINGS
class StatusTable(TypedDict):
    """A table that the Lambda reads."""

    name: str
    """The table."""
    stream_view: str | None
    """The view type of its stream; off: it has none; null: unknown."""
    mapping: str
    """The state of the event source mapping, such as Enabled."""
    mapping_id: str
    """The id of that mapping."""
    last_result: str | None
    """The result of the Lambda's last invocation, in AWS's words; null: unknown."""
    reads_latest_stream: bool | None
    """Whether the mapping reads the table's current stream; null: unknown."""


@BY_DOCSTRINGS
class StatusQueue(TypedDict):
    """The queue; SQS calls the numbers approximate."""

    visible: int
    """Messages that wait."""
    in_flight: int
    """Messages that a writer holds."""
    delayed: int
    """Messages that cannot be received yet."""
    oldest_seconds: float | None
    """The age of the oldest message; null: unknown."""
    finishes_messages: bool | None
    """Whether messages in flight are finished; null: unknown, or none is in flight."""
    watched_seconds: float
    """For how long was looked whether they are."""


@BY_DOCSTRINGS
class Wait(TypedDict):
    """What a writer waits for."""

    reason: str
    """Why."""
    since: Time
    """Since when."""


@BY_DOCSTRINGS
class StatusWriter(TypedDict):
    """A writer."""

    url: str | None
    """Its status server; null: it can be asked from its own machine only."""
    host: str | None
    """The name of its machine; null: unknown."""
    ready: bool | None
    """Whether it is ready; null: unknown."""
    error: str | None
    """Why it does not answer; null: it does."""
    waiting_for: dict[str, Wait]
    """What it waits for, by name."""
    seen: Time | None
    """When it last renewed its record in MongoDB; null: unknown."""
    in_flight: int | None
    """Messages that it holds; null: unknown."""
    changes_per_second: float | None
    """Changes that it finishes just now; null: unknown."""
    older_stream_changes: dict[str, int] | None
    """Changes of an older stream in the last 15 minutes, by table; null: unknown."""


@BY_DOCSTRINGS
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
    """The Lambda function; null: unknown."""
    tables: list[StatusTable] | None
    """The tables that it reads; null: unknown."""
    iterator_age_seconds: float | None
    """The age of the last records that the Lambda got; null: unknown, or the stream is idle."""
    stream_is_idle: bool
    """Whether CloudWatch has seen no invocation for ten minutes."""
    queue: StatusQueue
    """The queue."""
    dead_letters: int
    """How many dead letters there are."""
    behind_seconds_at_most: float | None
    """How far MongoDB is behind DynamoDB at most; null: unknown."""
    writers: list[StatusWriter]
    """The writers that should run."""
    ended_writers: list[StatusWriter]
    """Those that ended without saying so."""
