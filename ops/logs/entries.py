"""How an event of a log looks: as a line, and as JSON. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.text import Text

from ops.console.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ops.logs.events import Event

_OWN = ("time", "level", "logger", "message", "error")
_STYLES = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "bold red", "DEBUG": "dim"}


def line_of(event: Event, source: str, width: int) -> Text:
    """One line: time, source, level, message, fields; below it the traceback, if there is one.

    Args:
        event: the event.
        source: a short name of its log group.
        width: the columns for the source.
    """
    entry = _parsed(event.text)
    time = datetime.fromtimestamp(event.at / 1000, UTC)
    parts = Text(f"{time:%Y-%m-%d %H:%M:%S}.{event.at % 1000:03d}  ", style="dim")
    parts.append(f"{source:<{width}}  ", style="cyan")
    parts.append(f"{entry.level:<7}  ", style=_STYLES.get(entry.level, ""))
    parts.append(printable(entry.message), style="bold" if entry.level else "")
    for name, value in entry.fields.items():
        parts.append(f"  {name}=", style="dim")
        parts.append(printable(_shown(value)))
    for line in entry.error.splitlines():
        parts.append(f"\n    {printable(line)}", style="red")
    return parts


def data_of(event: Event) -> dict[str, Any]:
    """The event as a JSON object."""
    entry = _parsed(event.text)
    time = datetime.fromtimestamp(event.at / 1000, UTC)
    data = {
        "time": time.isoformat(timespec="milliseconds"),
        "group": event.group,
        "stream": event.stream,
        "level": entry.level or None,
        "message": entry.message,
        "fields": dict(entry.fields),
    }
    return data | ({"error": entry.error} if entry.error else {})


@dataclass(frozen=True, slots=True)
class _Entry:
    """The parts of an event's text.

    Attributes:
        level: the level, such as WARNING; empty: the line is not one of ours.
        message: the message, or the whole line.
        fields: all other fields.
        error: a traceback of several lines, or empty.
    """

    level: str
    message: str
    fields: Mapping[str, Any]
    error: str = ""


def _parsed(text: str) -> _Entry:
    """Reads a JSON object of ours, or any line."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    if not (isinstance(content, dict) and "message" in content):
        return _Entry("", text, {})
    fields = {name: value for name, value in content.items() if name not in _OWN}
    level, error = content.get("level"), content.get("error")
    return _Entry(str(level or ""), str(content["message"]), fields, str(error or ""))


def _shown(value: Any) -> str:
    if isinstance(value, str) and value and not any(each in value for each in ' "='):
        return value
    return json.dumps(value, ensure_ascii=False)
