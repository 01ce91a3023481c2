"""Documents of the example: how they differ from the expected ones, and how they look on the screen. Pure."""

import datetime as dt
import json
from collections.abc import Sequence
from typing import Any, Final

Document = dict[str, Any]

METADATA: Final = "_ddb"


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


def as_table(documents: Sequence[Document]) -> tuple[list[str], list[list[str]]]:
    """Documents as columns and rows. A field that a document does not have is an empty cell."""
    columns = ["_id", *sorted({name for each in documents for name in each} - {"_id", METADATA})]
    rows = [
        [render(document[name]) if name in document else "" for name in columns] + ["{…}"]
        for document in documents
    ]
    return [*columns, METADATA], rows


def render(value: object) -> str:
    """A value of a document as one writes it in mongosh."""
    if isinstance(value, dt.datetime):
        return f'ISODate("{value.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}")'
    if value is None or isinstance(value, str | bool | int | float):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
