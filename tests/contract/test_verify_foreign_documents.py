"""verify and repair where anybody has written anything: each is one difference, and nothing ends."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import bson
import pytest
from bson.code import Code
from bson.decimal128 import Decimal128
from bson.int64 import Int64
from bson.max_key import MaxKey
from bson.min_key import MinKey
from bson.raw_bson import RawBSONDocument
from bson.regex import Regex

from ops.migration.repair.repairer import Repairer, Result
from ops.migration.verify import verifier
from ops.migration.verify.comparison import Kind
from ops.migration.verify.findings import line_of, read_findings
from ops.migration.verify.lookup import Lookup
from tests.support.migrations import by_kind, compare, create_table, session_on
from writer.names import TOMBSTONES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    import pymongo.collection

    from local.stack import Stack
    from ops.migration.settings import Session
    from tests.support.sinks import Document

pytestmark = pytest.mark.usefixtures("aws_environment")

OURS = {"_ddb": {"v": "2020-04-30T17:47:21.395 01 7"}}
NUMBERS = ["5", "5.1", "0", "12345678901234567890123456789012345678", *map(str, range(100, 120))]


@pytest.fixture(scope="module")
def numbers(stack: Stack) -> Iterator[str]:
    """A table with the key id (N), and a few items, that nothing changes."""
    yield from table_of(stack, "numbers", [{"id": {"N": number}} for number in NUMBERS], id="N")


@pytest.fixture(scope="module")
def pairs(stack: Stack) -> Iterator[str]:
    """A table with the key pk (S) and sk (N), and an item, that nothing changes."""
    yield from table_of(stack, "pairs", [{"pk": {"S": "a"}, "sk": {"N": "5"}}], pk="S", sk="N")


@pytest.fixture(scope="module")
def texts(stack: Stack) -> Iterator[str]:
    """A table with the key pk (S) and sk (S), and an item, that nothing changes."""
    yield from table_of(stack, "texts", [{"pk": {"S": "a"}, "sk": {"S": "b"}}], pk="S", sk="S")


def table_of(stack: Stack, name: str, items: list[Any], **key: str) -> Iterator[str]:
    name = f"verify-foreign-{name}-{secrets.token_hex(6)}"
    create_table(stack, name, **key)
    dynamodb = stack.client("dynamodb")
    for item in items:
        dynamodb.put_item(TableName=name, Item=item)
    yield name
    dynamodb.delete_table(TableName=name)


@dataclass(frozen=True)
class Here:
    """A database of this test's own."""

    stack: Stack
    mongodb: pymongo.MongoClient[Document]
    database: str

    def session(self, table: str) -> AbstractAsyncContextManager[Session]:
        return session_on(self.stack, self.database, table)

    def collection(self, name: str) -> pymongo.collection.Collection[Document]:
        return self.mongodb[self.database][name]


@pytest.fixture
def here(stack: Stack, mongodb: pymongo.MongoClient[Document], database: str) -> Here:
    return Here(stack, mongodb, database)


def raw(*elements: bytes) -> RawBSONDocument:
    """A document of elements that PyMongo does not write."""
    content = b"".join(elements)
    return RawBSONDocument((len(content) + 5).to_bytes(4, "little") + content + b"\0")


def element(document: Document) -> bytes:
    """The elements of a document."""
    return bson.encode(document)[4:-1]


async def copy(session: Session, items: list[Any]) -> None:
    """Writes the items' documents as a backfill does."""
    from ops.migration.backfill.copier import batch_of  # noqa: PLC0415

    await session.store.apply(batch_of(session.table, session.source.key, items, 0).writes)


NOT_TEXT = b"\x02%s\0\x03\0\0\0\xff\xfe\0"
FAR_DATE = b"\x09%s\0" + (10**16).to_bytes(8, "little")
DB_POINTER = b"\x0c%s\0\x02\0\0\0a\0" + b"\1" * 12

STRANGE_IDS: dict[str, Any] = {
    "text of a number": {"_id": "5"},
    "text of a decimal": {"_id": "5.1"},
    "long text, other notation": {"_id": "1.2345678901234567890123456789012345678E+37"},
    "decimal beside a double": {"_id": Decimal128("5.1")},
    "NaN": {"_id": float("nan")},
    "decimal infinity": {"_id": Decimal128("-Infinity")},
    "null": {"_id": None},
    "true": {"_id": True},
    "least": {"_id": MinKey()},
    "greatest": {"_id": MaxKey()},
    "document": {"_id": {"id": 5}},
    "nested": {"_id": {"id": {"id": [5, Regex("5")]}}},
    "code": {"_id": Code("5")},
    "code with scope": {"_id": Code("5", {"id": 5})},
    "empty text": {"_id": ""},
    "bytes": {"_id": b"5"},
    "object id": {"_id": bson.ObjectId("5f1a2b3c4d5e6f7081920a0b")},
    "timestamp": {"_id": bson.timestamp.Timestamp(5, 5)},
    "date": {"_id": datetime(2020, 1, 1, tzinfo=UTC)},
    "far date": FAR_DATE % b"_id",
    "not text": NOT_TEXT % b"_id",
    "pointer": DB_POINTER % b"_id",
}


async def test_an_id_that_looks_like_a_key(
    here: Here,
    numbers: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each is extra, in the same page of documents as its double or in another; and the walk ends.

    `repair` removes what is ours, by that very `_id`, and nothing else; it names what it cannot remove.
    """
    collection = here.collection(numbers)
    documents = [
        raw(each if isinstance(each, bytes) else element(each), element(OURS))
        for each in STRANGE_IDS.values()
    ]
    async with here.session(numbers) as session:
        await copy(session, [{"id": {"N": number}} for number in NUMBERS])
        collection.insert_many(documents)
        # More than the driver fetches at first, too.
        for page, more in ((1, 1), (1_000, 200)):
            monkeypatch.setattr(verifier, "_DOCUMENTS", page)
            collection.delete_many({"_id.n": {"$exists": True}})
            collection.insert_many([{"_id": {"n": n}, **OURS} for n in range(more)])
            found, counts = await compare(session)
            assert by_kind(found) == {Kind.EXTRA: len(STRANGE_IDS) + more}
            assert counts.documents == len(STRANGE_IDS) + len(NUMBERS) + more
        report = tmp_path / "report.jsonl"
        report.write_text("".join(line_of(numbers, each) + "\n" for each in found), encoding="utf-8")
        repairer = Repairer(session, Lookup(session), dry_run=False)
        did = await repairer.repair(list(read_findings(report, numbers)))
        left = [each for each in did if each.result is Result.LEFT]
        assert {each.result for each in did} == {Result.REPAIRED, Result.LEFT}
        assert all("delete it by hand" in each.reason for each in left)
        found, _ = await compare(session)
        assert by_kind(found) == {Kind.EXTRA: len(left)}
    assert collection.count_documents({}) == len(NUMBERS) + len(left)
    assert len(left) <= 6


async def test_an_id_of_another_type_in_the_place_of_an_item(here: Here, numbers: str) -> None:
    """To MongoDB it is the item's document: one difference, not two, which repair undoes."""
    decimals = [(Decimal128("102"), 102), (Decimal128("103.00"), 103)]
    ids: list[tuple[Any, int]] = [(100.0, 100), (Int64(101), 101), (-0.0, 0), *decimals]
    collection = here.collection(numbers)
    async with here.session(numbers) as session:
        await copy(session, [{"id": {"N": number}} for number in NUMBERS])
        for document_id, number in ids:
            collection.delete_one({"_id": document_id})
            collection.insert_one({"_id": document_id, "id": number, **OURS})
        found, _ = await compare(session)
        assert [(each.kind, each.reason) for each in found] == [
            (Kind.DIFFERENT, "these fields differ: '_id'")
        ] * len(ids)
        did = await Repairer(session, Lookup(session), dry_run=False).repair(found)
        assert {each.result for each in did} == {Result.REPAIRED}
        assert (await compare(session))[0] == []


async def test_a_composite_id(here: Here, pairs: str, texts: str) -> None:
    """Names, their order and the types of the parts make it; no item has an empty part or a longer one."""
    of_pairs: list[Any] = [
        {"sk": 5, "pk": "a"},
        {"pk": "a"},
        {"pk": "a", "sk": "5"},
        {"pk": "a", "sk": 5, "x": None},
        {"pk": "a", "sk": Decimal128("5.1")},
        {"pk": b"a", "sk": 5},
        {"pk": {"pk": "a"}, "sk": 5},
        {"a": "a", "b": 5},
        "a",
    ]
    of_texts: list[Any] = [
        {"sk": "b", "pk": "a"},
        {"sk": "a", "pk": "b"},
        {"pk": "", "sk": "b"},
        {"pk": "a", "sk": "b" * 1025},
    ]
    items: dict[str, Any] = {
        pairs: {"pk": {"S": "a"}, "sk": {"N": "5"}},
        texts: {"pk": {"S": "a"}, "sk": {"S": "b"}},
    }
    for table, ids in ((pairs, of_pairs), (texts, of_texts)):
        async with here.session(table) as session:
            await copy(session, [items[table]])
            here.collection(table).insert_many([{"_id": each, **OURS} for each in ids])
            found, _ = await compare(session)
            assert by_kind(found) == {Kind.EXTRA: len(ids)}


STRANGE_FIELDS: dict[str, bytes] = {
    "not text": NOT_TEXT % b"a",
    "a name that is not text": b"\x10\xff\0\1\0\0\0",
    "far date": FAR_DATE % b"a",
    "pointer": DB_POINTER % b"a",
    "undefined": b"\x06a\0",
    "symbol": b"\x0ea\0\x02\0\0\0a\0",
    "code": element({"a": Code("x", {"y": 1})}),
    "pattern": element({"a": Regex("x")}),
    "twice": element({"a": 1}) + element({"a": 1}),
    "an item's field twice": element({"id": 5}),
    "deep": element({"a": json.loads("[" * 90 + "]" * 90)}),
}


async def test_a_document_with_anything_in_it(here: Here, numbers: str) -> None:
    """Beside its item it is different, without one it is extra; both are repaired."""
    strange = dict(enumerate(STRANGE_FIELDS.values(), 100))
    async with here.session(numbers) as session:
        await copy(
            session, [{"id": {"N": number}} for number in NUMBERS if int(float(number)) not in strange]
        )
        for number, fields in strange.items():
            for each in (number, 100 + number):
                ours = element({"_id": each, "id": each})
                here.collection(numbers).insert_one(raw(ours, fields, element(OURS)))
        found, _ = await compare(session)
        assert by_kind(found) == {Kind.DIFFERENT: len(strange), Kind.EXTRA: len(strange)}
        did = await Repairer(session, Lookup(session), dry_run=False).repair(found)
        assert {each.result for each in did} == {Result.REPAIRED}
        assert (await compare(session))[0] == []


STRANGE_METADATA: list[tuple[bytes, Kind]] = [
    (b"\x03_ddb\0" + raw(NOT_TEXT % b"v").raw, Kind.IMPOSSIBLE),
    (b"\x03_ddb\0" + raw(NOT_TEXT % b"x", element({"v": OURS["_ddb"]["v"]})).raw, Kind.DIFFERENT),
    (element(OURS) + element(OURS), Kind.DIFFERENT),
    (element({"_ddb": {"v": Regex("x")}}), Kind.DIFFERENT),
    (element({"_ddb": {**OURS["_ddb"], "names": "x"}}), Kind.DIFFERENT),
    (NOT_TEXT % b"_ddb", Kind.DIFFERENT),
]


async def test_metadata_that_nobody_can_have_written(here: Here, numbers: str, tmp_path: Path) -> None:
    """One difference each, too; and so are tombstones, or they bury nothing."""
    strange = dict(enumerate(STRANGE_METADATA, 100))
    future = element({"v": "9999-01-01T00:00:00.000 01 1"})
    async with here.session(numbers) as session:
        await copy(
            session, [{"id": {"N": number}} for number in NUMBERS if int(float(number)) not in strange]
        )
        for number, (metadata, _) in strange.items():
            here.collection(numbers).insert_one(raw(element({"_id": number, "id": number}), metadata))
        for key in (NOT_TEXT % b"k", FAR_DATE % b"k", DB_POINTER % b"k", element({"x": 1})):
            identity = b"\x03_id\0" + raw(element({"c": numbers}), key).raw
            marked = element({"marked": [{"v": "9999"}], "f": "_ddb"})
            here.collection(TOMBSTONES).insert_one(raw(identity, future, marked))
        found, _ = await compare(session)
        report = tmp_path / "report.jsonl"
        report.write_text("".join(line_of(numbers, each) + "\n" for each in found), encoding="utf-8")
        assert list(read_findings(report, numbers)) == found
        repairer = Repairer(session, Lookup(session), dry_run=False)
        did = await repairer.repair(found)
        kinds = {each.document_id: each.kind for each in found if each.document_id in strange}
        assert kinds == {number: kind for number, (_, kind) in strange.items()}
        assert {each.kind for each in found if each.document_id not in strange} == {Kind.IMPOSSIBLE}
        left = [each for each in did if each.result is Result.LEFT]
        assert ["delete it by hand" in each.reason for each in left] == [True, True]  # no text; twice
        again = [each.document_id for each in (await compare(session))[0] if each.document_id in strange]
        assert sorted(again) == sorted(each.finding.document_id for each in left)
