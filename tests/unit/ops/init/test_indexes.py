"""Which `createIndex` commands a table suggests."""

from __future__ import annotations

import pytest

from ops.init.indexes import index_commands
from ops.init.tables import SecondaryIndex, TableDescription


def commands(*indexes: SecondaryIndex, key: tuple[str, ...] = ("id",)) -> list[str]:
    return list(index_commands(TableDescription("t", dict.fromkeys(key, "S"), indexes=indexes), "", "t"))


def test_a_composite_key_has_an_index() -> None:
    """`_id` is a document of both: it serves no query by the partition key alone."""
    assert commands(key=("pk", "sk"))[1] == 'db.getCollection("t").createIndex({"pk": 1, "sk": 1});'


def test_a_single_key_needs_none() -> None:
    """`_id` is its index."""
    assert commands() == []
    assert commands(SecondaryIndex("same", ("id",))) == ["// the index same: the index _id serves it, too"]


def test_an_index_holds_the_items_that_have_its_attributes() -> None:
    """Those of the table's key are in every item, and need no filter."""
    assert commands(SecondaryIndex("by-a", ("a", "id")))[1] == (
        'db.getCollection("t").createIndex({"a": 1, "id": 1}, '
        '{"name": "by-a", "partialFilterExpression": {"a": {"$exists": true}}});'
    )


def test_the_same_index_is_made_once() -> None:
    """MongoDB refuses a second one of another name; two indexes of a table may differ in their projection."""
    found = commands(SecondaryIndex("one", ("a",)), SecondaryIndex("two", ("a",)))
    assert found[2:] == ["// the index two: the index one serves it, too"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (("a.b",), "cannot index a field"),
        (("$a",), "cannot index a field"),
        (("__proto__",), "cannot write a field"),
        (("x", "1"), "change the order"),
        (("10", "9"), "change the order"),
    ],
)
def test_what_mongosh_cannot_make_is_a_comment(fields: tuple[str, ...], reason: str) -> None:
    """JavaScript sorts names that are numbers, and takes `__proto__` for something else."""
    (line,) = commands(SecondaryIndex("odd", fields))
    assert line.startswith("// the index odd: ")
    assert reason in line


def test_numbers_in_their_order_are_kept() -> None:
    """`01` is no number for JavaScript."""
    assert len(commands(SecondaryIndex("a", ("1", "2", "x")), SecondaryIndex("b", ("x", "01")))) == 4
