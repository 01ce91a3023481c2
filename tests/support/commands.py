"""`replicator` as it is typed, in this process: what it prints, and its exit status."""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator, FormatChecker
from typer.testing import CliRunner

from local.paths import ROOT
from ops.cli import app
from ops.json_outputs.schemas import OUTPUTS, file_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_FORMATS = FormatChecker()
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
    """Runs a command; `typed` is its standard input. What it prints with `--json` fits its schema."""
    result = CliRunner().invoke(app, arguments, input=typed)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    if "--json" in arguments and "--help" not in arguments:
        check_json(arguments, result.stdout)
    return Result(result.exit_code, result.stdout, plain(result.stderr))


def check_json(arguments: Sequence[str], printed: str) -> None:
    """What a command has printed with `--json` fits its schema."""
    command = next((name for name in OUTPUTS if [*arguments][: len(name.split())] == name.split()), "")
    for value in _values(printed) if command else ():
        _validator(command).validate(value)


@_FORMATS.checks("date-time", raises=ValueError)
def _is_time(value: object) -> bool:
    return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None


@functools.cache
def _validator(command: str) -> Draft202012Validator:
    schema = json.loads((ROOT / "ops" / "schemas" / file_name(command)).read_text())
    return Draft202012Validator(schema, format_checker=_FORMATS)


def _values(text: str) -> Iterator[Any]:
    """The JSON values of a text, one after the other."""
    decoder, at = json.JSONDecoder(), 0
    while text[at:].strip():
        try:
            value, at = decoder.raw_decode(text, at + len(text[at:]) - len(text[at:].lstrip()))
        except json.JSONDecodeError as error:
            raise AssertionError(f"a command printed what is not JSON: {text!r}") from error
        yield value


def plain(text: str) -> str:
    """The text without styles, and without blanks at the ends of lines."""
    return "\n".join(line.rstrip() for line in _STYLE.sub("", text).split("\n"))
