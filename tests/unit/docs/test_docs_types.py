"""docs/types.md is true: every example of its tables is run."""

from __future__ import annotations

import base64
import json
import re
from decimal import Decimal
from typing import Any

import pytest
from bson.decimal128 import Decimal128
from bson.int64 import Int64

from local.paths import ROOT
from tests.support.fake_sink import FakeSink
from tests.support.lambda_events import sdk_value
from tests.support.oracle import bson_of, frozen
from tests.support.whole_path import WholePath
from writer.mapping.reverse import item_of

PAGE = (ROOT / "docs" / "types.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| (`\{.*) \|$", re.MULTILINE)
CODE = re.compile(r"`([^`]*)`").fullmatch


def rows_of(section: str) -> list[list[str]]:
    """The table of a section: the cells of each row, without the remark at its end."""
    (text,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    rows = [[CODE(cell) for cell in re.split(r" \| ?", row)] for row in ROW.findall(text)]
    return [[cell[1] for cell in row if cell] for row in rows]


TYPES, NUMBERS, BACK = rows_of("Every type"), rows_of("Numbers"), rows_of("The way back")


def in_mongosh(value: Any) -> str:
    """How mongosh prints a BSON value of an array, and how one writes it there."""
    match value:
        case None | bool():
            return json.dumps(value)
        case str():
            return f"'{value}'"
        case int():
            return f"Long('{value}')" if isinstance(value, Int64) else str(value)
        case float():
            return in_javascript(value)
        case Decimal128():
            return f"Decimal128('{value}')"
        case bytes():
            return f"Binary.createFromBase64('{base64.b64encode(value).decode()}', 0)"
        case list():
            return f"[ {', '.join(map(in_mongosh, value))} ]" if value else "[]"
        case _:
            entries = (f"'{name}': {in_mongosh(part)}" for name, part in value.items())
            return f"{{ {', '.join(entries)} }}" if value else "{}"


def in_javascript(value: float) -> str:
    """A double: digits below 1e21 without an exponent (ECMAScript, "Number::toString").

    mongosh prints 1.0 as it prints the int32, and takes what is written so for one.
    """
    if value.is_integer() and abs(value) < 2**31:
        return f"Double({value:.0f})"
    return format(Decimal(repr(value)), "f") if 1e-6 <= abs(value) < 1e21 else repr(value)


async def document_of(example: str, numbers: str = "native") -> dict[str, Any]:
    """The document of an item with the example as its attribute `a`, as the writer makes it."""
    sink = FakeSink()
    item = {"id": {"S": "1"}, "a": sdk_value(json.loads(example))}
    await WholePath(sink, f"tables: {{t: {{numbers: {numbers}}}}}").insert("t", ["id"], [item])
    (document,) = sink.all("t")
    return document


def test_the_tables_are_there() -> None:
    """As many rows as the page has, and all columns of each."""
    assert [len(TYPES), len(NUMBERS), len(BACK)] == [17, 17, 7]
    assert {len(row) for row in TYPES + BACK} == {3}
    assert {len(row) for row in NUMBERS} == {4}
    kinds = {next(iter(json.loads(row[0]))) for row in TYPES}
    assert kinds == {"S", "N", "B", "BOOL", "NULL", "M", "L", "SS", "NS", "BS"}


@pytest.mark.parametrize(("example", "mongosh", "python"), TYPES, ids=[row[0] for row in TYPES])
async def test_every_type(example: str, mongosh: str, python: str) -> None:
    """What the shell and the driver show."""
    value = (await document_of(example))["a"]
    assert in_mongosh(value) == mongosh
    assert repr(value) == python


@pytest.mark.parametrize("row", NUMBERS, ids=[row[0] for row in NUMBERS])
async def test_numbers(row: list[str]) -> None:
    """Under each policy; the decoder of the tests says the same."""
    example, *shown = row
    for numbers, mongosh in zip(["native", "decimal128", "double"], shown, strict=True):
        value = (await document_of(example, numbers))["a"]
        assert in_mongosh(value) == mongosh
        assert frozen(bson_of(json.loads(example), numbers)) == frozen(value)


@pytest.mark.parametrize(("example", "mongosh", "back"), BACK, ids=[row[0] for row in BACK])
async def test_the_way_back(example: str, mongosh: str, back: str) -> None:
    """What comes back differs from what was there, in the way that the page says."""
    document = await document_of(example)
    assert in_mongosh(document["a"]) == mongosh
    assert back != example
    assert item_of(document)["a"] == sdk_value(json.loads(back))
