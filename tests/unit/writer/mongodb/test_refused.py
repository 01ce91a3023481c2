"""What is remembered of refused puts: little, and not for long."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any

import orjson

from tests.support.builders import put, write
from writer.mongodb.apply import Command, Written
from writer.mongodb.refused import Memory, Refused, refused_puts
from writer.ports import Failure, FailureKind
from writer.write import Merge

if TYPE_CHECKING:
    from collections.abc import Iterable

PLACE = ("", "items")
NOT_UNIQUE = {"keyPattern": {"email": 1}, "keyValue": {"email": "a"}}


def refused(key: int, version: int = 1, **fields: Any) -> Refused:
    return Refused(Command(write(put(version, key, **fields)), puts=True), NOT_UNIQUE)


def keys(found: Iterable[Refused]) -> list[int]:
    return [each.command.write.target.document_id for each in found]


def test_of_each_document_the_last_one_is_remembered() -> None:
    """By collection; until it is done, or for some minutes."""
    memory = Memory()
    memory.remember(PLACE, [refused(1), refused(2), refused(3)], 0)
    memory.remember(PLACE, [refused(1, 2)], 500)
    memory.remember(("", "others"), [refused(4)], 500)
    memory.forget(PLACE, 2)
    memory.forget(PLACE, 99)
    assert keys(memory.of(PLACE, 600)) == [3, 1]
    (left,) = memory.of(PLACE, 601)
    assert left.command.write.version == put(2).version


def test_an_older_put_that_comes_again_does_not_take_the_place_of_a_newer_one() -> None:
    """Both messages come again and again, in any order."""
    memory = Memory()
    memory.remember(PLACE, [refused(1, 2)], 0)
    memory.remember(PLACE, [refused(1, 1)], 500)
    (kept,) = memory.of(PLACE, 600)
    assert kept.command.write.version == put(2).version
    assert keys(memory.of(PLACE, 601)) == []


def test_what_is_too_old_goes_by_itself() -> None:
    """There need not be another conflict (P7)."""
    memory = Memory()
    memory.remember(PLACE, [refused(1)], 0)
    memory.remember(("", "others"), [refused(2)], 500)
    memory.expire(601)
    assert keys(memory.of(PLACE, 0)) == []
    assert keys(memory.of(("", "others"), 0)) == [2]


def test_images_are_not_kept() -> None:
    """As Python has them they take many times the bytes of the document (P7)."""
    memory, many = Memory(), [{"a": n, "b": n} for n in range(3_000)]
    tracemalloc.start()
    try:
        for key in range(40):
            memory.remember(PLACE, [refused(key, of=orjson.loads(orjson.dumps(many)))], 0)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    documents = [each.command.write.document or b"" for each in memory.of(PLACE, 0)]
    assert len(documents) == 40
    assert taken < 2 * sum(map(len, documents))


def test_names_of_a_merge_count() -> None:
    """There can be more of them than of values (P7)."""
    memory, names = Memory(), tuple(str(n) for n in range(1_000))
    for key in range(1_000):
        each = refused(key)
        merged = each.command.write._replace(merge=Merge((), names))
        memory.remember(PLACE, [each._replace(command=each.command._replace(write=merged))], 0)
    assert 200 < len(keys(memory.of(PLACE, 0))) < 300


def test_it_is_bounded() -> None:
    """In number and in bytes: the oldest are forgotten (P7)."""
    memory = Memory()
    memory.remember(PLACE, [refused(key) for key in range(1_500)], 0)
    assert keys(memory.of(PLACE, 0)) == list(range(500, 1_500))
    memory.remember(PLACE, [refused(key, text="x" * 4_000_000) for key in range(9)], 0)
    assert keys(memory.of(PLACE, 0)) == [5, 6, 7, 8]


def test_which_puts_can_be_done_together() -> None:
    """The newest of each document, if the server says which value it was, and where the document is."""
    healable, other = (Failure(kind, "", "") for kind in (FailureKind.HEALABLE, FailureKind.TRANSIENT))
    commands = dict(
        enumerate([refused(1, 2), refused(1, 3), refused(1, 1), refused(2), refused(3), refused(4)])
    )
    made = {index: each.command for index, each in commands.items()}
    made[4] = made[4]._replace(write=made[4].write._replace(shard={"region": "eu"}))
    made[6] = Command(write(put(1, 6)), puts=False)
    written = Written(
        dict.fromkeys((0, 1, 2, 4, 5, 6), healable) | {3: other},
        {index: {} if index == 5 else NOT_UNIQUE for index in range(8)},
    )
    assert list(refused_puts(made, written)) == [1]
