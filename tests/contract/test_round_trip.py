"""Every item of DynamoDB arrives as the document that docs/types.md promises: real code, real MongoDB.

The judge, `tests.support.oracle`, shares no code with what it judges. Every image comes twice, as a new
document and in place of another one, because the two are different operations in MongoDB, with traps of their
own: dots and `$` in names, an `_id` that must not change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pymongo
import pytest
import pytest_asyncio
import yaml
from bson.raw_bson import RawBSONDocument
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contract.worlds import fresh_database
from tests.support.oracle import compare
from tests.support.strategies import BORDER_NUMBERS, DEEPEST, Contents, Item, contents, nested
from tests.support.whole_path import WholePath
from writer.mongodb.sink import MongoSink

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from pymongo.collection import Collection

    from local.stack import Stack

POLICIES = ["native", "decimal128", "double"]
TABLE = "table"

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Target:
    """A real database, and the way of one table into it."""

    def __init__(self, sink: MongoSink, collection: Collection[RawBSONDocument]) -> None:
        self._sink = sink
        self._collection = collection

    async def verify(self, table: Contents, numbers: str, key_order: Sequence[str] = ()) -> None:
        """Replicates what was in the table, and then what it became, and compares everything each time."""
        mapping = {"tables": {TABLE: {"numbers": numbers, "key": list(key_order)}}}
        path = WholePath(self._sink, yaml.safe_dump(mapping))
        order = key_order or sorted(table.key)
        self._collection.delete_many({})
        await path.insert(TABLE, table.key, table.before)
        self._compare(table.before, order, numbers)
        await path.modify(TABLE, table.key, table.before, table.after)
        self._compare(table.after, order, numbers)

    def _compare(self, items: Sequence[Item], key: Sequence[str], numbers: str) -> None:
        comparison = compare(items, self._collection.find(), key, numbers)
        assert comparison.is_same, str(comparison)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def target(stack: Stack) -> AsyncIterator[Target]:
    """One for all of them: it is emptied before it is used."""
    # Documents as they are: with another class PyMongo makes a DBRef of what has both $ref and $id.
    with (
        fresh_database(stack.mongodb_uri) as database,
        pymongo.MongoClient(stack.mongodb_uri, document_class=RawBSONDocument) as client,
    ):
        sink = MongoSink.connect(stack.mongodb_uri, database, 4)
        await sink.open()
        yield Target(sink, client[database][TABLE])
        sink.close()


@settings(max_examples=150)
@given(contents(), st.sampled_from(POLICIES), st.sampled_from(["by name", "as they are", "reversed"]))
async def test_any_items_arrive(target: Target, table: Contents, numbers: str, key_order: str) -> None:
    """Items of any attributes, under any policy and key, as new documents and in place of others (P6)."""
    orders = {"by name": (), "as they are": table.key, "reversed": table.key[::-1]}
    await target.verify(table, numbers, orders[key_order])


TEXTS = [
    *("", " ", "\0", "\x01\x1f\x7f\x85", "\ufffe\uffff", "\ud7ff\ue000\ufdd0\ufffd", "\U0001f600\U0010ffff"),
    *("é", "e\u0301", '"\\/', "$x", "$$ROOT", "a.b", "null", "1.5", "\u2028\u2029", "\r\n\t"),
]
NAMES = [
    *(
        "a.b",
        ".",
        "..",
        ".a",
        "a.",
        "$",
        "$set",
        "$a.b",
        "$$ROOT",
        "$literal",
        "$ref",
        "$id",
        "$db",
        "$numberLong",
    ),
    *("$oid", "$date", "$binary", "$b", "$n", "$ss", "$ns", "$bs", "$m", "_id", "_id_", "_ddb", "_ddb_"),
    *("0", "-1", " ", "\x01\x1f", "\ufffe", "\U0001f600", "ключ", "n" * 2000, "__proto__", "v", "renamed"),
]
TAG_LIKE: list[Item] = [
    {"$n": {"S": "1.5"}},
    {"$n": {"N": "1" * 38}},
    {"$b": {"S": "AAAA"}},
    {"$b": {"B": b"AAAA"}},
    {"$ss": {"L": [{"S": "b"}, {"S": "a"}]}},
    {"$ss": {"SS": ["b", "a"]}},
    {"$ns": {"NS": ["10", "9"]}},
    {"$bs": {"L": [{"B": b"\xff"}]}},
    {"$m": {"M": {}}},
    {"$m": {"M": {"$m": {"M": {"$n": {"N": "0.1"}}}}}},
    {"$n": {"M": {"$m": {"L": [{"M": {"$b": {"NULL": True}}}]}}}},
    {"$n": {"S": "two entries"}, "$m": {"M": {}}},
    {"$unknown": {"S": "no tag"}},
]
EVERYTHING: Item = {
    "texts": {"L": [{"S": text} for text in TEXTS]},
    "a set of texts": {"SS": TEXTS},
    "numbers": {"L": [{"N": number} for number in BORDER_NUMBERS]},
    "a set of numbers": {
        "NS": ["10", "9", "-1E-130", "0.1", "9223372036854775808", "1" * 38, "-5", "1E+125"]
    },
    "binary": {"L": [{"B": octets} for octets in (b"", b"\0", b"\xff\xfe", bytes(range(256)))]},
    "a set of binaries": {"BS": [b"\xff", b"\0", b"", b"\x00\x00", b"a"]},
    "booleans": {"L": [{"BOOL": True}, {"BOOL": False}, {"NULL": True}]},
    "empty": {"L": [{"S": ""}, {"B": b""}, {"L": []}, {"M": {}}, {"L": [{"L": []}, {"M": {"": {"S": ""}}}]}]},
    "names": {"M": {name: {"M": {name: {"L": [{"M": {name: {"S": name}}}]}}} for name in NAMES}},
    "tag-like": {"L": [{"M": entries} for entries in TAG_LIKE]},
    "lists in lists": nested(DEEPEST, "L"),
    "maps in maps": nested(DEEPEST, "M"),
    **{name: {"S": name} for name in NAMES},
}
CHANGED: Item = {
    **{name: {"M": {name: {"L": [value]}}} for name, value in EVERYTHING.items()},
    "_id": {"N": "1.50"},
    "only now": {"BS": [b"b", b"a"]},
}
KEYS: dict[str, Item] = {
    "a text": {"id": {"S": "\ufffe$a.b\0"}},
    "a number": {"id": {"N": "-0.10"}},
    "a number that a double cannot hold": {"id": {"N": "0.12345678901234567"}},
    "a number of 38 digits": {"id": {"N": "1" * 38}},
    "binary": {"id": {"B": b"\0\xff"}},
    "named like ours": {"_id": {"S": "x"}},
    "named like our metadata": {"_ddb": {"N": "9007199254740993"}},
    "text and number": {"pk": {"S": "a"}, "sk": {"N": "1.50"}},
    "number and binary": {"z": {"N": "9223372036854775808"}, "a": {"B": b"\xff"}},
    "with a dollar": {"$k": {"S": "a"}, "_$k": {"S": "b"}},
    "both are ours": {"_id": {"B": b"x"}, "_ddb": {"N": "1E-130"}},
}


@pytest.mark.parametrize("numbers", POLICIES)
@pytest.mark.parametrize("kind", KEYS)
async def test_all_borders_arrive(target: Target, kind: str, numbers: str) -> None:
    """What lies at a border of any type, under every kind of key: no luck is needed to meet it (P6)."""
    key = KEYS[kind]
    names = tuple(key)
    table = Contents(names, [EVERYTHING | key], [CHANGED | key])
    back = Contents(names, table.after, table.before)
    for order in {(), names, names[::-1]}:
        await target.verify(table, numbers, order)
        await target.verify(back, numbers, order)
