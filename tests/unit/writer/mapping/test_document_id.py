"""The `_id` of a document is its item's key, and no two items have the same."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import bson
import pytest
from bson.decimal128 import Decimal128
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import PoisonError
from tests.support.builders import delete, put, put_item
from tests.support.mapped_documents import document, document_id, rules
from writer.mapping.document import MAX_KEY_BYTES, locate

LONG = "12345678901234567890123456789012345678"


@pytest.mark.parametrize(
    ("key", "mapping", "expected"),
    [
        ({"id": 3}, "", 3),
        ({"id": "3"}, "", "3"),
        ({"id": {"$b": "AAE="}}, "", b"\x00\x01"),
        ({"id": 1.5}, "", 1.5),
        ({"id": {"$n": "12345678901234567890"}}, "", Decimal128("12345678901234567890")),
        ({"id": {"$n": LONG}}, "", LONG),
        ({"id": 1.5}, "numbers: decimal128", Decimal128("1.5")),
        ({"id": {"$n": "12345678901234567890"}}, "numbers: double", Decimal128("12345678901234567890")),
        ({"sk": 2, "pk": 1}, "", {"pk": 1, "sk": 2}),
        ({"sk": 2, "pk": 1}, "key: [sk, pk]", {"sk": 2, "pk": 1}),
        ({"sk": 2, "pk": 1}, "key: [pk, sk]", {"pk": 1, "sk": 2}),
        ({"$a": 1, "b.c": 2}, "", {"_$a": 1, "b.c": 2}),
        ({"$a": 1, "_$a": 2}, "", {"__$a": 1, "_$a": 2}),
        ({"$id": 1}, "", 1),
        ({"$ref": 1, "$id": 2}, "", {"_$id": 2, "_$ref": 1}),
        ({"pk": {"$b": "AA=="}, "sk": {"$n": "1E+30"}}, "", {"pk": b"\0", "sk": Decimal128("1E+30")}),
    ],
    ids=repr,
)  # fmt: skip
def test_the_id(key: dict[str, Any], mapping: str, expected: Any) -> None:
    """One attribute: its value. Two: a document in the order that the mapping gives, or by name."""
    change = delete(1, key)
    got = document_id(change, f"tables: {{mytable: {{{mapping}}}}}")
    assert bson.encode({"_id": got}) == bson.encode({"_id": expected})
    assert document(put(1, key), f"tables: {{mytable: {{{mapping}}}}}")["_id"] == expected


@pytest.mark.parametrize("numbers", ["native", "decimal128", "double"])
def test_different_keys_are_different_documents(numbers: str) -> None:
    """No policy for numbers makes one document of two items (P1)."""
    texts = ["12345678901234567890", "12345678901234567891", "0.1", "0.10000000000000000001", "1", "1E+20"]
    mapping = f"tables: {{mytable: {{numbers: {numbers}}}}}"
    changes = [put_item(1, {"id": {"N": text}}) for text in texts]
    ids = {bson.encode({"_id": document_id(change, mapping)}) for change in changes}
    assert len(ids) == len(texts)


def test_an_item_whose_key_is_called_id_with_underscore() -> None:
    """The key attribute `_id` is the document's `_id`, and its field moves like any other."""
    change = put(1, {"_id": "k"})
    assert document(change) == {
        "_id": "k",
        "_id_": "k",
        "_ddb": {"v": change.version, "renamed": {"_id_": "_id"}},
    }


NAMES = st.sampled_from(["pk", "sk", "$pk", "a\0b", "a.b", "", "x" * MAX_KEY_BYTES, "é" * MAX_KEY_BYTES])
PARTS = st.sampled_from(
    [
        0,
        1,
        2**63 - 1,
        2**63,
        -(2**63),
        -(2**63) - 1,
        "",
        "1",
        "é" * MAX_KEY_BYTES,
        True,
        None,
        1.5,
        {"$n": "1"},
    ]
)


@given(
    st.dictionaries(NAMES, PARTS, min_size=2, max_size=2),
    st.sampled_from(["", "key: [pk, sk]", "key: [sk, pk]", "key: [pk]", "numbers: double"]),
)
def test_the_short_way_of_a_composite_key_ends_where_the_long_one_does(
    key: dict[str, Any], mapping: str
) -> None:
    """The same document, or refused for the same reason."""

    def found() -> Any:
        try:
            return locate(rules(f"tables: {{mytable: {{{mapping}}}}}"), delete(1, key))
        except PoisonError as error:
            return error.code, error.reason

    with patch("writer.mapping.document._usual_pair", return_value=None):
        long = found()
    assert repr(found()) == repr(long)
