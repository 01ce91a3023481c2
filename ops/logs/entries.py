"""A line of a log → what a person reads of it, and the object for scripts. Pure."""

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


@dataclass(frozen=True, slots=True)
class Entry:
    """What a line says.

    Attributes:
        level: such as WARNING; empty: it is none of our lines.
        message: what happened, or the whole line.
        fields: the rest of it.
        error: a traceback, over several lines.
    """

    level: str
    message: str
    fields: Mapping[str, Any]
    error: str = ""


def entry_of(text: str) -> Entry:
    """Reads a line: a JSON object of ours, or anything."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    if not (isinstance(content, dict) and "message" in content):
        return Entry("", text, {})
    fields = {name: value for name, value in content.items() if name not in _OWN}
    level, error = content.get("level"), content.get("error")
    return Entry(str(level or ""), str(content["message"]), fields, str(error or ""))


def line_of(event: Event, entry: Entry, source: str, width: int) -> Text:
    """One line for a person: time, source, level, message, fields.

    Args:
        event: the event.
        entry: what it says.
        source: what people call its log group.
        width: columns for the source.
    """
    moment = datetime.fromtimestamp(event.at / 1000, UTC)
    parts = Text(f"{moment:%Y-%m-%d %H:%M:%S}.{event.at % 1000:03d}  ", style="dim")
    parts.append(f"{source:<{width}}  ", style="cyan")
    parts.append(f"{entry.level:<7}  ", style=_STYLES.get(entry.level, ""))
    parts.append(printable(entry.message), style="bold" if entry.level else "")
    for name, value in entry.fields.items():
        parts.append(f"  {name}=", style="dim")
        parts.append(printable(_shown(value)))
    for line in entry.error.splitlines():
        parts.append(f"\n    {printable(line)}", style="red")
    return parts


def data_of(event: Event, entry: Entry) -> dict[str, Any]:
    """The object for scripts."""
    moment = datetime.fromtimestamp(event.at / 1000, UTC)
    data = {
        "time": moment.isoformat(timespec="milliseconds"),
        "group": event.group,
        "stream": event.stream,
        "level": entry.level or None,
        "message": entry.message,
        "fields": dict(entry.fields),
    }
    return data | ({"error": entry.error} if entry.error else {})


def _shown(value: Any) -> str:
    if isinstance(value, str) and value and not any(each in value for each in ' "='):
        return value
    return json.dumps(value, ensure_ascii=False)
