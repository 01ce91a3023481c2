"""`commands`: CPU time until `replicator` has printed its help, beside the import of typer alone."""

from __future__ import annotations

import resource
import subprocess
import sys
from typing import TYPE_CHECKING

from bench.measure import Series
from bench.report import Result, Table, values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ABOUT = """\
Seconds of CPU time of a new process, user and system, median of all rounds; in brackets: half of the rounds
lie in there. `import typer` is what a command line made with typer takes at the least, before it draws help
with rich. A command's module is loaded only when the command is named; then typer imports pydantic as well.\
"""

_OURS = ("--help", "--version", "status --help", "dlq list --help", "check-config --help", "verify --help")
_PROCESSES: Mapping[str, Sequence[str]] = {
    "python -c pass": ["-c", "pass"],
    'python -c "import typer"': ["-c", "import typer"],
    **{f"replicator {arguments}": ["-m", "ops", *arguments.split()] for arguments in _OURS},
}


def run(rounds: int) -> Result:
    """Starts each process once a round."""
    seconds: dict[str, list[float]] = {name: [] for name in _PROCESSES}
    for _ in range(rounds):
        for name, arguments in _PROCESSES.items():
            seconds[name].append(_cpu_seconds([sys.executable, *arguments]))
    series = {name: Series(figures) for name, figures in seconds.items()}
    rows = [
        (f"`{name}`", f"{each.median:.3f} ({' to '.join(f'{end:.3f}' for end in each.quartiles)})")
        for name, each in series.items()
    ]
    figures = {name: values(each) for name, each in series.items()}
    return Result(
        "commands", ABOUT, [Table("Start", ("process", "CPU s"), rows)], figures, {"rounds": rounds}
    )


def _cpu_seconds(arguments: Sequence[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(arguments, stdout=subprocess.DEVNULL, check=True)  # noqa: S603 - the list above
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
