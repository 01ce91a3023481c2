"""How the status looks: one screen."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.text import Text

from ops.console.terminal import age, bound, printable

if TYPE_CHECKING:
    from ops.console.terminal import Lines
    from ops.status.facts import Status, Table

_UNKNOWN = "unknown"
_WIDTH = 14
_CAPS = (40, 18, 10, 40)


def print_status(lines: Lines, status: Status, most_behind: float) -> None:
    """The whole screen."""
    moment = datetime.fromtimestamp(status.at, UTC)
    lines.line(Text("replicator", style="bold"), f"  {moment:%Y-%m-%d %H:%M:%S} UTC")
    lines.line()
    _print_source(lines, status)
    queue = status.queue
    oldest = "" if queue.is_empty else f", oldest {_age(status.oldest)}"
    lines.fact(
        "queue",
        f"{queue.visible:,} visible, {queue.in_flight:,} in flight, {queue.delayed:,} delayed{oldest}",
        _WIDTH,
    )
    lines.fact("dead letters", Text(f"{status.dead_letters:,}", style=_red(status.dead_letters)), _WIDTH)
    for writer in status.writers:
        state = Text("ready", style="green")
        if writer.error or writer.waits:
            state = Text("does not answer" if writer.error else f"waits for {', '.join(writer.waits)}", "red")
        lines.fact("writer", Text.assemble(f"{writer.url}  ", state), _WIDTH)
    if not status.writers:
        lines.fact("writers", "not asked: name them with --writer URL", _WIDTH)
    behind = _UNKNOWN if status.behind is None else f"at most {bound(status.behind)}"
    lines.fact("behind", behind, _WIDTH)
    lines.line()
    problems = status.problems(most_behind)
    if not problems:
        lines.line(Text("All is well.", style="green"))
        return
    lines.line(Text("Not well:", style="bold red"))
    for problem in problems:
        lines.line(f"- {printable(problem)}")


def _print_source(lines: Lines, status: Status) -> None:
    if not status.function:
        lines.fact("tables", "unknown: name the pipeline with --stack, or the Lambda with --function", _WIDTH)
        return
    if status.tables:
        rows = [_row(table) for table in status.tables]
        lines.rows(("TABLE", "STREAM", "MAPPING", "LAST RESULT"), rows, _CAPS[:-1], apart=False)
        lines.line()
    lines.fact("lambda", f"{status.function}, iterator age {_age(status.iterator_age)}", _WIDTH)


def _row(table: Table) -> tuple[str, ...]:
    return (table.name, table.view or _UNKNOWN, table.state, table.result or _UNKNOWN)


def _age(seconds: float | None) -> str:
    return _UNKNOWN if seconds is None else age(seconds)


def _red(number: int) -> str:
    return "red" if number else ""
