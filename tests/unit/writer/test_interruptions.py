"""A call that is refused, broken or cancelled at any point loses nothing: another writer does the rest."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest

from local.polling import HANG_TIMEOUT_S
from shared.change import Change, Op
from shared.envelope import decode
from shared.errors import FatalError, PoisonError, TransientError
from tests.support.builders import TABLE, body_of, delete, put
from tests.support.fake_clock import settled
from tests.support.writer_on_fakes import AWAY, REFUSED, VISIBILITY, Writer

if TYPE_CHECKING:
    from shared.dead_letter import DeadLetter

OPERATIONS = ["ping", "receive", "extend", "apply", "park", "delete", "release"]


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_what_only_a_person_can_mend_ends_the_service(operation: str) -> None:
    """Whichever call is refused: all loops end, with the reason, and nothing unsettled is acknowledged."""
    writer = Writer()
    faults = writer.sink.faults if operation in {"ping", "apply"} else writer.inbox.faults
    faults.raises[operation] = [REFUSED]
    writer.sink.unique[TABLE] = "email"
    if operation == "extend":
        writer.sink.faults.raises["apply"] = [AWAY] * 100
    writer.inbox.send(body_of(put(1, 1, n=1, email="x"), put(2, [])), "a")
    writer.inbox.send(body_of(put(3, 3, n=3, email="x")), "b")
    running = writer.start(3)
    await writer.clock.advance(VISIBILITY)
    with pytest.raises(ExceptionGroup) as caught:
        await asyncio.wait_for(running, HANG_TIMEOUT_S)
    found = caught.value.subgroup(FatalError)
    assert found is not None
    assert "MongoDB refuses the writer" in str(leaves(found))
    assert_nothing_is_lost(writer)


def leaves(group: BaseException) -> list[BaseException]:
    if isinstance(group, BaseExceptionGroup):
        return [leaf for error in group.exceptions for leaf in leaves(error)]
    return [group]


async def test_an_error_of_ours_ends_the_service_loudly() -> None:
    """A bug is not an outage: no loop dies alone and silently (no "running but dead for days")."""
    writer = Writer()
    writer.sink.faults.raises["apply"] = [KeyError("bug")]
    writer.inbox.send(body_of(put(1, n=1)))
    running = writer.start(3)
    await settled()
    with pytest.raises(ExceptionGroup) as caught:
        await asyncio.wait_for(running, HANG_TIMEOUT_S)
    assert [type(leaf) for leaf in leaves(caught.value)] == [KeyError]
    assert writer.inbox.deleted == []


NUL: dict[str, Any] = {"x\0": 1}
CHANGES: dict[str, list[tuple[Change, ...]]] = {
    "a": [
        (put(1, 1, n=1, email="1"), put(2, 2, n=2, email="2")),
        (put(3, 1, n=3, email="3"), put(4, []), put(5, 6, email="5")),
    ],
    "b": [(delete(6, 5),), (put(7, 5, n=7, email="7"), put(8, 8, n=8, **NUL))],
    "c": [(put(9, 9, n=9, email="x"),), (put(10, 10, n=10, email="x"),), (put(11, 11, n=11, email="11"),)],
}


def loaded() -> Writer:
    """A writer with everything to do: writes, poison of each kind, a healable failure, transient errors."""
    writer = Writer()
    writer.sink.required[TABLE] = "n"
    writer.sink.unique[TABLE] = "email"
    for group, messages in CHANGES.items():
        for changes in messages:
            writer.inbox.send(body_of(*changes), group)
    writer.inbox.send("garbage", "d")
    return writer


def assert_nothing_is_lost(writer: Writer) -> None:
    """P3: whatever was acknowledged is in the database, outranked there, or parked."""
    parked = {letter.body for letter in writer.inbox.letters}
    documents = {document["_id"]: document for document in writer.sink.all(TABLE)}
    for body in writer.inbox.deleted:
        try:
            entries = decode(body).entries
        except PoisonError:
            assert body in parked
            continue
        for change in entries:
            assert isinstance(change, Change)
            if is_parked(change, writer.inbox.letters):
                continue
            document = documents.get(change.key["id"])
            if document is None:
                assert change.op is Op.DELETE
            else:
                assert document["_ddb"]["v"] >= change.version


def is_parked(change: Change, letters: list[DeadLetter]) -> bool:
    return any(letter.sequence == change.sequence for letter in letters)


async def finished_by_another(writer: Writer) -> Writer:
    """Another writer does the rest, once the locks of the first have ended."""
    writer.inbox.faults.at_point = writer.sink.faults.at_point = None
    other = Writer(writer.inbox, writer.sink)
    other.start(2)
    await other.clock.advance(2 * VISIBILITY)
    assert await other.ended() is None
    return other


async def interrupted_at(point: int, error: Exception | None) -> bool:
    """Cancels a loaded writer (or raises) at the n-th await of an adapter; checks; lets another finish."""
    writer = loaded()
    seen = itertools.count(1)
    struck = False

    async def strike(_: str) -> None:
        nonlocal struck
        if next(seen) == point:
            struck = True
            if error is not None:
                raise error
            running.cancel()
            await asyncio.sleep(0)

    writer.inbox.faults.at_point = writer.sink.faults.at_point = strike
    writer.sink.faults.raises["apply"] = [AWAY]
    running = writer.start(2)
    await writer.clock.advance(VISIBILITY / 2)
    assert_nothing_is_lost(writer)
    raised = await writer.ended()
    assert (raised is not None) == (struck and not isinstance(error, TransientError))
    assert_nothing_is_lost(writer)
    other = await finished_by_another(writer)
    assert_nothing_is_lost(other)
    assert other.state() == {1: 3, 2: 2, 5: 7, 9: 9, 11: 11}
    assert sorted(letter.code for letter in other.inbox.letters) == [
        "bad-envelope", "bad-key", "mongodb-121", "not-bson",
    ]  # fmt: skip
    assert [json.loads(body)["changes"][0]["seq"] for body in other.inbox.bodies] in (["10"], ["10", "11"])
    return struck


@pytest.mark.parametrize(
    "error",
    [None, REFUSED, TransientError("503"), KeyError("bug")],
    ids=["cancelled", "fatal", "transient", "bug"],
)
async def test_whatever_strikes_at_any_await_loses_nothing(error: Exception | None) -> None:
    """Cancelled, refused, cut off or broken before and after each call: all is done in the end, once (P3)."""
    for point in itertools.count(1):
        if not await interrupted_at(point, error):
            break
    assert point > 12
