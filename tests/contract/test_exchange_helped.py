"""Puts of earlier batches that an exchange did: they are looked at, even after a failure in between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bson
import pytest
from pymongo.errors import AutoReconnect

from shared.errors import TransientError
from tests.contract.test_sink_races import deleted_by_another_writer
from tests.support.builders import delete, put, write
from tests.support.sinks import Document, Spy, watched_sink

if TYPE_CHECKING:
    import pymongo

    from local.stack import Stack

SWAP = [write(put(2, 1, email="b")), write(put(2, 2, email="a"))]


def image(version: int, key: int, email: str) -> Document:
    return bson.decode(write(put(version, key, email=email)).document or b"")


async def test_a_failure_before_the_last_look(
    stack: Stack, database: str, mongodb: pymongo.MongoClient[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The repetition looks at what the first call did beside its own: what was deleted stays so (P2)."""
    items = mongodb[database]["items"]
    items.create_index("email", unique=True)
    items.insert_many([image(1, 1, "a"), image(1, 2, "b")])

    def act(name: str, _: Document) -> None:
        if name == "aggregate" and armed:
            armed.clear()
            deleted_by_another_writer(mongodb[database], delete(5, 1))
        done.extend([1] if name == "commitTransaction" else [])

    armed: list[int] = []
    done: list[int] = []
    with watched_sink(stack.mongodb_uri, database, Spy(act)) as sink:
        look = sink.newer_tombstones

        async def fails_once(puts: Any) -> Any:
            if done and not failed:
                failed.append(1)
                raise AutoReconnect("cut")
            return await look(puts)

        failed: list[int] = []
        monkeypatch.setattr(sink, "newer_tombstones", fails_once)
        assert (await sink.apply(SWAP[:1])).failures
        armed.append(1)
        with pytest.raises(TransientError):
            await sink.apply(SWAP[1:])
        assert items.count_documents({"_id": 1}) == 1
        assert not (await sink.apply(SWAP[1:])).failures
    assert [each["_id"] for each in items.find()] == [2]
