"""`replicator` as it is typed, in this process: what it prints, and its exit status."""

from __future__ import annotations

import re
from dataclasses import dataclass

from typer.testing import CliRunner

from ops.cli import app

_STYLE = re.compile(r"\x1b\[[\d;?]*[a-zA-Z]")


@dataclass(frozen=True)
class Result:
    """How a command ended.

    Attributes:
        status: its exit status.
        out: what it printed.
        err: what it said beside it, without styles.
    """

    status: int
    out: str
    err: str


def replicator(*arguments: str, typed: str = "") -> Result:
    """Runs a command; `typed` is its standard input."""
    result = CliRunner().invoke(app, arguments, input=typed)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Result(result.exit_code, result.stdout, plain(result.stderr))


def plain(text: str) -> str:
    """The text without styles, and without blanks at the ends of lines."""
    return "\n".join(line.rstrip() for line in _STYLE.sub("", text).split("\n"))
