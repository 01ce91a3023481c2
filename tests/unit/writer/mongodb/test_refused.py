"""What is remembered of refused puts: little, and not for long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.builders import put, write
from writer.mongodb.apply import Command, Written
from writer.mongodb.refused import Memory, Refused, refused_puts
from writer.ports import Failure, FailureKind

if TYPE_CHECKING:
    from collections.abc import Iterable

PLACE = ("", "items")
NOT_UNIQUE = {"keyPattern": {"email": 1}, "keyValue": {"email": "a"}}


def refused(key: int, version: int = 1, **fields: str) -> Refused:
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
