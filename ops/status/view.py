"""How the status looks: it fits on one screen. It decides nothing."""

from datetime import UTC, datetime

from rich.text import Text

from ops.console.terminal import Output, age, bound
from ops.status.facts import Age, Status, Table, Writer
from ops.status.findings import notes_of, problems_of, unknown_of

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
    for writer in status.writers.asked:
        output.field("writer", Text.assemble(f"{writer.name}  ", _state_of(writer)), _WIDTH)
    if not status.writers.asked:
        output.field("writers", _UNKNOWN if status.writers.why_unknown else "none", _WIDTH)
    behind = _UNKNOWN if status.behind is None else f"at most {bound(status.behind)}"
    output.field("behind", behind, _WIDTH)
    output.line()
    _print_outcome(output, status, most_behind)


def _print_outcome(output: Output, status: Status, most_behind: float) -> None:
    problems, unknown, notes = problems_of(status, most_behind), unknown_of(status), notes_of(status)
    for note in notes:
        output.line(f"Note: {note}")
    if notes:
        output.line()
    if problems:
        output.line(Text("Problems:", style="bold red"))
        _print_list(output, problems)
        if unknown:
            output.line(Text("Unknown:", style="bold yellow"))
    elif unknown:
        output.line(Text("No known problems, but some things are unknown:", style="bold yellow"))
    else:
        output.line(Text("All is well.", style="green"))
    _print_list(output, unknown)


def _print_list(output: Output, sentences: list[str]) -> None:
    for each in sentences:
        output.line(f"- {each}")


def _state_of(writer: Writer) -> Text:
    if writer.error:
        return Text("does not answer", "red")
    if writer.waits:
        return Text(f"waits for {', '.join(writer.waits)}", "red")
    if writer.figures is None:
        return Text("ready" if writer.url else _UNKNOWN, "yellow")
    held, rate = writer.figures.in_flight, writer.figures.rate
    work = f", {held:,} in flight, {rate:,.0f}/s" if held or rate else ""
    return Text.assemble(("ready", "green"), work)


def _print_source(output: Output, status: Status) -> None:
    if not status.function:
        output.field("tables", _UNKNOWN, _WIDTH)
        return
    if status.tables_unknown:
        output.field("tables", _UNKNOWN, _WIDTH)
    if status.tables:
        rows = [_row(table) for table in status.tables]
        output.table(("TABLE", "STREAM", "MAPPING", "LAST RESULT"), rows, _CAPS[:-1], apart=False)
        output.line()
    idle = status.iterator_age.is_idle
    behind = "idle" if idle else f"iterator age {_age(status.iterator_age)}"
    output.field("lambda", f"{status.function}, {behind}", _WIDTH)


def _row(table: Table) -> tuple[str, ...]:
    mapping = table.mapping
    return (table.name, table.stream_view or _UNKNOWN, mapping.state, mapping.last_result or _UNKNOWN)


def _age(found: Age) -> str:
    return _UNKNOWN if found.seconds is None else age(found.seconds)


def _red(number: int) -> str:
    return "red" if number else ""
