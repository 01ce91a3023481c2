"""Answers about a collection that say nothing we know."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from writer.mongodb.places import Places
from writer.ports import FailureKind

ANSWERS: list[Any] = [
    {},
    {"cursor": {}},
    {"cursor": {"firstBatch": None}},
    {"cursor": {"firstBatch": [1]}},
    {"cursor": {"firstBatch": [{"name": "items"}]}},
    {"cursor": {"firstBatch": [{"name": "items", "type": None}]}},
]


@pytest.mark.parametrize("answer", ANSWERS, ids=str)
async def test_a_collection_of_an_unknown_kind_waits(answer: Any) -> None:
    """Only what MongoDB calls a collection is one (P2)."""

    async def command(*_: object, **__: object) -> Any:
        return answer

    collection: Any = SimpleNamespace(name="items", database=SimpleNamespace(name="shop", command=command))
    failure = await Places().problem(collection)
    assert failure is not None
    assert (failure.kind, failure.code) == (FailureKind.TRANSIENT, "unknown kind")
    assert failure.reason == "nothing is written to shop.items: it is of an unknown kind"
