"""How the status looks: it fits on one screen."""

from datetime import UTC, datetime

from rich.text import Text

from ops.console.terminal import Output, age, bound
from ops.status.facts import Status, Table

_UNKNOWN = "unknown"
_WIDTH = 14
_CAPS = (40, 18, 10, 40)


def print_status(output: Output, status: Status, most_behind: float) -> None:
    """Prints the status. A stage may be `most_behind` seconds behind."""
    time = datetime.fromtimestamp(status.at, UTC)
    output.line(Text("replicator", style="bold"), f"  {time:%Y-%m-%d %H:%M:%S} UTC")
    output.line()
    _print_source(output, status)
    queue = status.queue
    oldest = "" if queue.is_empty else f", oldest {_age(status.oldest)}"
    output.field(
        "queue",
        f"{queue.visible:,} visible, {queue.in_flight:,} in flight, {queue.delayed:,} delayed{oldest}",
        _WIDTH,
    )
    output.field("dead letters", Text(f"{status.dead_letters:,}", style=_red(status.dead_letters)), _WIDTH)
    for writer in status.writers:
        state = Text("ready", style="green")
        if writer.error or writer.waits:
            state = Text("does not answer" if writer.error else f"waits for {', '.join(writer.waits)}", "red")
        output.field("writer", Text.assemble(f"{writer.url}  ", state), _WIDTH)
    if not status.writers:
        output.field("writers", "not asked: name them with --writer URL", _WIDTH)
    behind = _UNKNOWN if status.behind is None else f"at most {bound(status.behind)}"
    output.field("behind", behind, _WIDTH)
    output.line()
    problems = status.problems(most_behind)
    if not problems:
        output.line(Text("All is well.", style="green"))
        return
    output.line(Text("Not well:", style="bold red"))
    for problem in problems:
        output.line(f"- {problem}")


def _print_source(output: Output, status: Status) -> None:
    if not status.function:
        output.field(
            "tables", "unknown: name the pipeline with --stack, or the Lambda with --function", _WIDTH
        )
        return
    if status.tables:
        rows = [_row(table) for table in status.tables]
        output.table(("TABLE", "STREAM", "MAPPING", "LAST RESULT"), rows, _CAPS[:-1], apart=False)
        output.line()
    output.field("lambda", f"{status.function}, iterator age {_age(status.iterator_age)}", _WIDTH)


def _row(table: Table) -> tuple[str, ...]:
    return (table.name, table.stream_view or _UNKNOWN, table.mapping, table.last_result or _UNKNOWN)


def _age(seconds: float | None) -> str:
    return _UNKNOWN if seconds is None else age(seconds)


def _red(number: int) -> str:
    return "red" if number else ""
