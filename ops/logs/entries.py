"""How an event of a log looks: as a line, and as JSON. Pure."""

import json
from datetime import UTC, datetime
from typing import Any

from rich.text import Text

from ops.console.terminal import printable
from ops.logs.events import Event

_OWN = ("time", "level", "logger", "message", "error")
_STYLES = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "bold red", "DEBUG": "dim"}


def line_of(event: Event, source: str, width: int) -> Text:
    """One line: time, source in `width` columns, level, message, fields; below it a traceback, if any."""
    data = data_of(event)
    level = data["level"] or ""
    time = datetime.fromtimestamp(event.at / 1000, UTC)
    parts = Text(f"{time:%Y-%m-%d %H:%M:%S}.{event.at % 1000:03d}  ", style="dim")
    parts.append(f"{source:<{width}}  ", style="cyan")
    parts.append(f"{level:<7}  ", style=_STYLES.get(level, ""))
    parts.append(printable(data["message"]), style="bold" if level else "")
    for name, value in data["fields"].items():
        parts.append(f"  {name}=", style="dim")
        parts.append(printable(_shown(value)))
    for line in data.get("error", "").splitlines():
        parts.append(f"\n    {printable(line)}", style="red")
    return parts


def data_of(event: Event) -> dict[str, Any]:
    """The event as a JSON object. A line that is not one of ours is its message, without a level."""
    try:
        content = json.loads(event.text)
    except (ValueError, RecursionError):
        content = None
    if not (isinstance(content, dict) and "message" in content):
        content = {"message": event.text}
    data = {
        "time": datetime.fromtimestamp(event.at / 1000, UTC).isoformat(timespec="milliseconds"),
        "group": event.group,
        "stream": event.stream,
        "level": str(content.get("level") or "") or None,
        "message": str(content["message"]),
        "fields": {name: value for name, value in content.items() if name not in _OWN},
    }
    return data | ({"error": str(content["error"])} if content.get("error") else {})


def _shown(value: Any) -> str:
    if isinstance(value, str) and value and not any(each in value for each in ' "='):
        return value
    return json.dumps(value, ensure_ascii=False)
