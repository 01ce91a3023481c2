"""How an event of a log looks: as a line, and as JSON. Pure."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.text import Text

from ops.console.terminal import printable

if TYPE_CHECKING:
    from ops.json_outputs.messages import LogLine
    from ops.logs.events import Event

_OWN = frozenset({"time", "level", "logger", "message", "error"})
_METRICS = "_aws"  # Amazon CloudWatch User Guide, "Specification: Embedded metric format"
_OF_PLATFORM = re.compile(r"(?:START|END|REPORT) RequestId: |INIT_START |INIT_REPORT |XRAY TraceId: ").match
_FAILED = re.compile(r"\bStatus: (?!success\b)").search
_PLATFORM_TYPES = frozenset(
    {
        *("platform.initStart", "platform.initRuntimeDone", "platform.initReport", "platform.start"),
        *("platform.runtimeDone", "platform.report", "platform.extension", "platform.telemetrySubscription"),
    }
)
_STYLES = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "bold red", "DEBUG": "dim"}


def is_of_platform(event: Event) -> bool:
    """Whether Lambda itself wrote the line, and says nothing but that an invocation began or ended well.

    Source: AWS Lambda developer guide, "Log formats", in text and in JSON.
    """
    if _OF_PLATFORM(event.text):
        return not _FAILED(event.text)
    content = _object_in(event.text)
    kind, record = content.get("type"), content.get("record")
    status = record.get("status", "success") if isinstance(record, dict) else "success"
    return isinstance(kind, str) and kind in _PLATFORM_TYPES and status == "success"


def line_of(event: Event, source: str, width: int, *, metrics: bool = False) -> Text:
    """One line: time, source in `width` columns, level, message, fields; below it a traceback, if any.

    `metrics`: also what tells CloudWatch which of the fields are metrics.
    """
    data = data_of(event, metrics=metrics)
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


def data_of(event: Event, *, metrics: bool = False) -> LogLine:
    """The event as a JSON object. A line that is not one of ours is its message, without a level."""
    content = _object_in(event.text)
    if "message" not in content:
        content = {"message": event.text}
    own = _OWN if metrics else {*_OWN, _METRICS}
    data: LogLine = {
        "time": datetime.fromtimestamp(event.at / 1000, UTC).isoformat(timespec="milliseconds"),
        "group": event.group,
        "stream": event.stream,
        "level": str(content.get("level") or "") or None,
        "message": str(content["message"]),
        "fields": {name: value for name, value in content.items() if name not in own},
    }
    if content.get("error"):
        data["error"] = str(content["error"])
    return data


def _object_in(text: str) -> dict[str, Any]:
    """The JSON object that a line is; empty: it is none."""
    try:
        content = json.loads(text) if text.startswith("{") else None
    except (ValueError, RecursionError):
        content = None
    return content if isinstance(content, dict) else {}


def _shown(value: Any) -> str:
    if isinstance(value, str) and value and not any(each in value for each in ' "='):
        return value
    return json.dumps(value, ensure_ascii=False)
