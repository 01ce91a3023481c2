"""The way back: item → document → item loses what docs/types.md says that it loses, and nothing else."""

from __future__ import annotations

from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any

import bson
import pytest
from bson.raw_bson import RawBSONDocument
from hypothesis import given
from hypothesis import strategies as st

from shared.attribute_values import encode_number
from tests.support.fake_sink import FakeSink
from tests.support.strategies import BORDER_NUMBERS, Contents, contents
from tests.support.whole_path import WholePath
from writer.mapping.reverse import item_of

if TYPE_CHECKING:
    from tests.support.oracle import Item

TABLE = "table"
_EXACT = Context(prec=60)


def comes_back(item: Item, numbers: str) -> Item:
    """What docs/types.md promises to come back of an item."""
    return {name: _comes_back(value, numbers) for name, value in item.items()}


def _comes_back(value: dict[str, Any], numbers: str) -> dict[str, Any]:
    ((kind, content),) = value.items()
    match kind:
        case "N":
            return _number(Decimal(content), numbers)
        case "NS":
            return {"L": [_number(number, numbers) for number in sorted(map(Decimal, content))]}
        case "SS" | "BS":
            return {"L": [{kind[0]: element} for element in sorted(content)]}
        case "L":
            return {"L": [_comes_back(element, numbers) for element in content]}
        case "M":
            return {"M": comes_back(content, numbers)}
        case _:
            return value


def _number(number: Decimal, numbers: str) -> dict[str, str]:
    shortest = number.normalize(_EXACT)
    plain = f"{shortest:f}" if number else "0"
    if number == int(number) and -(2**63) <= number < 2**63:
        return {"N": plain}
    if numbers == "native" and Decimal(repr(float(number))) == number:
        return {"N": plain}
    return {"N": plain} if len(shortest.as_tuple().digits) <= 34 else {"S": str(shortest)}


async def documents_of(table: Contents, numbers: str) -> list[dict[str, Any]]:
    """In the order of the items."""
    sink = FakeSink()
    path = WholePath(sink, f"tables: {{{TABLE}: {{numbers: {numbers}}}}}")
    documents = []
    for item in table.after:
        await path.insert(TABLE, table.key, [item])
        documents += sink.all(TABLE)
        sink.documents[TABLE].clear()
    return documents


@given(contents(), st.sampled_from(["native", "decimal128"]))
async def test_items_come_back(table: Contents, numbers: str) -> None:
    """Equal, but for sets, for numbers of more than 34 digits, and for the notation of numbers."""
    documents = await documents_of(table, numbers)
    expected = [comes_back(item, numbers) for item in table.after]
    assert [item_of(document) for document in documents] == expected
    raw = [RawBSONDocument(bson.encode(document)) for document in documents]
    assert [item_of(document) for document in raw] == expected


async def number_back(text: str, numbers: str) -> dict[str, Any]:
    item: Item = {"id": {"S": "1"}, "n": {"N": text}}
    (document,) = await documents_of(Contents(("id",), [item], [item]), numbers)
    value = item_of(document)["n"]
    if "N" in value:
        assert "E" not in value["N"].upper()
        encode_number(value["N"])  # DynamoDB can hold it
    return value


@pytest.mark.parametrize("numbers", ["native", "decimal128"])
@pytest.mark.parametrize("text", BORDER_NUMBERS)
async def test_numbers_come_back(text: str, numbers: str) -> None:
    """At all borders."""
    assert await number_back(text, numbers) == _number(Decimal(text), numbers)


TOO_LARGE = "9" * 38 + "0" * 88  # the nearest double is 1E+126


@pytest.mark.parametrize("text", [number for number in BORDER_NUMBERS if number != TOO_LARGE])
async def test_doubles_come_back(text: str) -> None:
    """An integer of 64 bits as it is, every other number as the nearest double."""
    number, found = Decimal(text), Decimal((await number_back(text, "double"))["N"])
    if number == int(number) and -(2**63) <= number < 2**63:
        assert found == number
    else:
        assert found == Decimal(repr(float(number)))


async def test_a_double_beyond_the_largest_number() -> None:
    """Rounded up, it is no number of DynamoDB any more."""
    with pytest.raises(ValueError, match="outside the range of a DynamoDB number"):
        await number_back(TOO_LARGE, "double")
