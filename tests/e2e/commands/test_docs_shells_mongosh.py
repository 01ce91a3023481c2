"""What documents and code say about mongosh, against mongosh: how it prints values, and how it reads them."""

from __future__ import annotations

import datetime as dt
import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pymongo
import pytest
from bson.raw_bson import RawBSONDocument

from local.screen.documents import render
from ops.init.mapping_text import commands_for_mongosh
from ops.init.tables import SecondaryIndex, TableDescription
from tests.support.mongosh_commands import read_commands
from tests.support.tools import find, need
from tests.unit.docs.test_docs_types import BACK, NUMBERS, TYPES, document_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from local.stack import Stack

    Mongosh = Callable[[str], str]

ODD_TABLES = [
    TableDescription("numbers", {"1": "S", "10": "S"}, indexes=(SecondaryIndex("by-2", ("2", "x")),)),
    TableDescription(
        "zeros", {"x": "S", "01": "S"}, indexes=(SecondaryIndex("largest", ("x", "4294967295")),)
    ),
    TableDescription("a-b.c", {"_id": "S", "_ddb": "S"}, indexes=(SecondaryIndex("by.a", ("a", "_id")),)),
    TableDescription("orders", {'"': "S", "\\": "S"}, indexes=(SecondaryIndex("b", ("'", "\u2028")),)),
    TableDescription("names", {"constructor": "S", "toString": "S"}, indexes=(SecondaryIndex("c", ("ü",)),)),
    TableDescription("refused", {"9": "S", "1": "S"}, indexes=(SecondaryIndex("d", ("__proto__", "a.b")),)),
]
"""Keys that JavaScript might read in another way; of the last one there are only comments."""


@pytest.fixture
def mongosh(stack: Stack, database: str, tmp_path: Path) -> Mongosh:
    """`mongosh(lines)`: what it prints when the lines are its input, as through a pipe."""
    need("mongosh")
    settings = tmp_path / ".mongodb" / "mongosh" / "config"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps({"enableTelemetry": False}))

    def run(lines: str) -> str:
        script = tmp_path / "lines.js"
        script.write_text(lines, encoding="utf-8")
        done = subprocess.run(  # noqa: S603 - the locked program
            [str(find("mongosh")), stack.mongodb_uri.replace("/?", f"/{database}?"), "--quiet", str(script)],
            env={"HOME": str(tmp_path), "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"},
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def raw(stack: Stack, database: str, collection: str) -> list[bytes]:
    """The documents as they are stored."""
    with pymongo.MongoClient[RawBSONDocument](stack.mongodb_uri, document_class=RawBSONDocument) as client:
        return [bytes(each.raw) for each in client[database][collection].find().sort("_id", 1)]


def insert(stack: Stack, database: str, values: Sequence[Any]) -> None:
    with pymongo.MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
        client[database]["stored"].insert_many(
            [{"_id": number, "a": value} for number, value in enumerate(values)]
        )


def typed(texts: Sequence[str]) -> str:
    """Lines that insert what the texts are."""
    return "\n".join(
        f"db.typed.insertOne({{_id: {number}, a: {text}}});" for number, text in enumerate(texts)
    )


async def test_the_column_of_the_types(stack: Stack, database: str, mongosh: Mongosh) -> None:
    """Each value is printed as docs/types.md shows it, and what is shown makes the same value."""
    rows = [(example, "native", shown) for example, shown, _ in TYPES + BACK]
    for example, *cells in NUMBERS:
        rows += [(example, *each) for each in zip(("native", "decimal128", "double"), cells, strict=True)]
    shown = [text for _, _, text in rows]
    insert(stack, database, [(await document_of(example, numbers))["a"] for example, numbers, _ in rows])
    printed = mongosh(
        'db.stored.find().sort({_id: 1}).forEach(each => { print([each.a]); print("END"); });'
    ).split("END\n")
    for text, found in zip(shown, printed[:-1], strict=True):
        (inner,) = re.findall(r"\[ (.*) \]", " ".join(found.split()))
        assert inner == re.sub(r"^Double\((\d+)\)$", r"\1", text)
    mongosh(typed(shown))
    assert raw(stack, database, "typed") == raw(stack, database, "stored")


def test_the_values_on_the_screen(stack: Stack, database: str, mongosh: Mongosh) -> None:
    """`make run` shows values as one writes them in mongosh."""
    values = [None, True, 1, 0.5, 'a "b"', "é\u2028", dt.datetime(2020, 4, 29, 13, 22, 8, tzinfo=dt.UTC)]
    insert(stack, database, values)
    mongosh(typed([render(value) for value in values]))
    assert raw(stack, database, "typed") == raw(stack, database, "stored")


def test_mongosh_reads_the_commands_of_init_as_the_tests_do(
    stack: Stack, database: str, mongosh: Mongosh
) -> None:
    """It makes the indexes that the support module reads in them: fields, their order, names and filters."""
    lines = commands_for_mongosh(ODD_TABLES, database)
    wanted = [(each.collection, each.keys, each.options) for each in read_commands(lines)]
    assert len(wanted) == 10
    mongosh("\n".join(lines))
    found = []
    with pymongo.MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
        for name in dict.fromkeys(each[0] for each in wanted):
            indexes = client[database][name].index_information()
            found += [(name, each["key"], index, each) for index, each in indexes.items() if index != "_id_"]
    for (collection, keys, options), (name, key, index, made) in zip(wanted, found, strict=True):
        assert (name, key) == (collection, keys)
        assert index == options.get("name", index)
        assert made.get("partialFilterExpression") == options.get("partialFilterExpression")
