"""How dead letters look: as a row, in full, and as JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.text import Text

from ops.console.terminal import Output, age, printable
from shared.change import Change

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping, Sequence

    from ops.json_outputs.messages import ChangeOutput, DeadLetterOutput, UnreadableChange
    from ops.queues.dead_letters import Letter
    from shared.envelope import Rejected

_HEADER = ("ID", "AGE", "CODE", "TABLE", "KEY", "SEQUENCE", "REASON")
_CAPS = (8, 4, 16, 14, 14, 14)
_WIDE_CAPS = (8, 4, 16, 20, 24, 25)
_WIDE = 120


def row_of(letter: Letter, now: float) -> tuple[str, ...]:
    """The cells of a row; `now` in seconds since the epoch."""
    more = len(letter.changes) - 1
    key = letter.key + (f" +{more}" if more > 0 else "")
    old = age(now - letter.sent_at / 1000)
    return (letter.id[:8], old, letter.code, letter.table, key, letter.sequence, letter.reason)


def print_rows(rows: Sequence[Sequence[str]]) -> None:
    """Prints the listing. Ids are shortened to what is enough to name a letter; `--json` has them whole."""
    output = Output()
    output.table(_HEADER, rows, _CAPS if output.width < _WIDE else _WIDE_CAPS)


def numbers_of(codes: Counter[str]) -> str:
    """How many letters have which code: `22 bad-conversion, 3 bad-key`."""
    return ", ".join(f"{number} {printable(name)}" for name, number in codes.most_common())


def letter_data(letter: Letter) -> DeadLetterOutput:
    """A letter as a JSON object."""
    return {
        "id": letter.id,
        "code": letter.code,
        "reason": letter.reason,
        "table": letter.table or None,
        "key": _key_of(letter),
        "sequence": letter.sequence or None,
        "sent_at": iso_time(letter.sent_at),
        "receives": letter.receives,
        "lane": letter.lane,
        "origin": letter.origin or None,
        "unreadable": letter.unreadable or None,
        "changes": [change_data(each) for each in letter.changes],
        "body": letter.text,
    }


def _key_of(letter: Letter) -> Mapping[str, Any] | None:
    """The key of its first change, or what its attributes say of it; None: not known."""
    first = next((each.key for each in letter.changes if isinstance(each, Change)), None)
    if first is not None:
        return first
    try:
        key = json.loads(letter.key)
    except (ValueError, RecursionError):
        return None
    return key if isinstance(key, dict) else None


def change_data(entry: Change | Rejected) -> ChangeOutput | UnreadableChange:
    """A change as a JSON object; one that cannot be read is as it came."""
    if not isinstance(entry, Change):
        return {"unreadable": entry.reason, "as_it_came": entry.encoded.decode(errors="backslashreplace")}
    return {
        "op": entry.op.value,
        "key": entry.key,
        "sequence": entry.sequence,
        "at": None if entry.at is None else iso_time(entry.at),
        "event_id": entry.event_id,
        "ttl": entry.ttl,
        "document": entry.image,
    }


def print_letter(letter: Letter, now: float) -> None:
    """Prints all of one letter."""
    output = Output()
    fields = {
        "message": letter.id,
        "code": letter.code,
        "reason": letter.reason,
        "table": letter.table,
        "key": letter.key,
        "sequence": letter.sequence,
        "sent": f"{iso_time(letter.sent_at)}, {age(now - letter.sent_at / 1000)} ago",
        "lane": letter.lane,
        "came from": letter.origin,
    }
    for name, value in fields.items():
        if value:
            output.field(name, Text(value, style="bold" if name == "code" else ""))
    for entry in letter.changes:
        output.line()
        print_change(output, entry)
    if letter.unreadable:
        output.line()
        output.line(Text(f"It would be parked again: {letter.unreadable}.", style="red"))
    if letter.envelope is None:
        output.line("As it came:")
        output.print(Text(letter.text))


def print_change(output: Output, entry: Change | Rejected, *, documents: bool = True) -> None:
    """Prints one change."""
    if not isinstance(entry, Change):
        output.line(Text(f"unreadable: {entry.reason}", style="red"))
        if documents:
            output.print(Text(entry.encoded.decode(errors="backslashreplace")))
        return
    what = Text(entry.op.value, style="bold")
    key = json.dumps(entry.key, ensure_ascii=False, separators=(",", ":"))
    expired = ", expired" if entry.ttl else ""
    at = "an unknown time" if entry.at is None else iso_time(entry.at)
    output.line(what, f" {key}  at {at}{expired}, sequence {entry.sequence}")
    if documents and entry.image is not None:
        output.json(entry.image)


def iso_time(milliseconds: int) -> str:
    """A time in ISO 8601, UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
