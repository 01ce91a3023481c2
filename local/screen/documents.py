"""Documents of the example: how they differ from the expected ones, and how they look on the screen. Pure."""

import datetime as dt
import json
from collections.abc import Collection, Sequence
from typing import Any, Final

from bson import Decimal128

Document = dict[str, Any]

METADATA: Final = "_ddb"
INDENT: Final = "    "
LONGEST_CELL: Final = 32


def describe_difference(actual: Sequence[Document], expected: Sequence[Document]) -> str | None:
    """How the documents differ from the expected ones; None if they do not.

    The metadata field must exist and have a version; it is not compared further. Types count: 1 is neither
    True nor 1.0.
    """
    present, due = [each["_id"] for each in actual], [each["_id"] for each in expected]
    if present != due:
        return f"It holds the documents {present}, not {due}."
    for found, wanted in zip(actual, expected, strict=True):
        metadata = found.get(METADATA)
        if not isinstance(metadata, dict) or not isinstance(metadata.get("v"), str) or not metadata["v"]:
            return f"Document {wanted['_id']} has no version in {METADATA}."
        for name in sorted((found.keys() | wanted.keys()) - {METADATA}):
            if name not in wanted:
                return (
                    f"Document {wanted['_id']} has {name}: {render(found[name])}, which should not be there."
                )
            if name not in found:
                return f"Document {wanted['_id']} has no {name}."
            if found[name] != wanted[name] or not _same_type(found[name], wanted[name]):
                return (
                    f"Document {wanted['_id']} has {name}: {render(found[name])}, not {render(wanted[name])} "
                    f"({type(found[name]).__name__}, {type(wanted[name]).__name__})."
                )
    return None


def _same_type(found: object, wanted: object) -> bool:
    # bson.Int64 is an int, and so is bool.
    return isinstance(found, type(wanted)) and isinstance(found, bool) == isinstance(wanted, bool)


def as_table(
    documents: Sequence[Document],
    metadata: str = METADATA,
    width: int | None = None,
    key: Collection[str] = (),
) -> tuple[list[str], list[list[str]]]:
    """Documents as columns and rows. A field that a document does not have is an empty cell.

    Args:
        documents: In the order of their rows.
        metadata: The field with the version, whose content is not shown.
        width: The columns of the terminal. Fields beyond it are left out, and counted in the last column's
            name; long values are cut. None: everything is shown.
        key: Fields that come last, because `_id` has their values, too.
    """
    fields = {name for each in documents for name in each} - {"_id", metadata}
    names = ["_id", *sorted(fields, key=lambda name: (name in key, name))]
    cells = {name: [_cell(each, name, is_cut=width is not None) for each in documents] for name in names}
    kept, left = list(names), (width or 0) - len(INDENT) - len(f"  +{len(names)} fields")
    if width is not None:
        kept = []
        for name in names:
            left -= max(map(len, [name, *cells[name]])) + 2
            if kept and left < 0:
                break
            kept.append(name)
    dropped = len(names) - len(kept)
    last = f"+{dropped} fields" if dropped else metadata
    rows = [[cells[name][row] for name in kept] + ["{…}"] for row in range(len(documents))]
    return [*kept, last], rows


def _cell(document: Document, name: str, *, is_cut: bool) -> str:
    text = render(document[name]) if name in document else ""
    return f"{text[: LONGEST_CELL - 1]}…" if is_cut and len(text) > LONGEST_CELL else text


def render(value: object) -> str:
    """A value of a document as one writes it in mongosh."""
    if isinstance(value, dt.datetime):
        return f'ISODate("{value.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}")'
    if isinstance(value, Decimal128):
        return f'NumberDecimal("{value}")'
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_name(name)}: {render(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(render, value))}]"
    if value is None or isinstance(value, str | bool | int | float):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _name(name: str) -> str:
    return name if name.isidentifier() and name.isascii() else json.dumps(name, ensure_ascii=False)
