"""How the doctor's list looks."""

from rich.text import Text

from ops.console.terminal import Output, count
from ops.doctor.findings import Finding, Report, State

_STYLES = {State.WELL: "green", State.NOT_WELL: "bold red", State.UNKNOWN: "yellow"}
_WIDTH = 9


def print_report(output: Output, report: Report) -> None:
    """Prints the list: a line for each finding, with what to do below it, unless that was said before."""
    said: set[str] = set()
    for section in report.sections:
        if section.findings:
            output.line(Text(section.subject, style="bold"))
        for finding in section.findings:
            _print(output, finding, "" if finding.advice in said else finding.advice)
            said.add(finding.advice)
        if section.findings:
            output.line()
    output.line(_summary(report))


def _print(output: Output, finding: Finding, advice: str) -> None:
    margin = Text(f"  {finding.state:<{_WIDTH}}", style=_STYLES[finding.state])
    for text, style in ((finding.text, ""), (advice, "bold")):
        for part in _broken(output, text):
            output.line(margin, Text(part, style=style), indent="")
            margin = Text(" " * len(margin))


def _broken(output: Output, text: str) -> list[str]:
    """The text in lines that leave room for the margin; elsewhere than on a terminal in one."""
    if not text or not output.console.is_terminal:
        return [text] * bool(text)
    room = max(output.width - _WIDTH - 2, _WIDTH)
    return [part.plain.rstrip() for part in Text(text).wrap(output.console, room)]


def _summary(report: Report) -> Text:
    wrong, open_ = report.count(State.NOT_WELL), report.count(State.UNKNOWN)
    if report.state is State.WELL:
        return Text("No problems found. To see how it runs: replicator status.", style="green")
    parts = [f"{count(wrong, 'problem')}"] * bool(wrong) + [f"{open_:,} unknown"] * bool(open_)
    return Text(f"{', '.join(parts)}. To see how it runs: replicator status.", style=_STYLES[report.state])
