"""Calls about messages that were received, each for up to ten of them.

Law: what became of an entry is the caller's to say.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from shared.batches import batches

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from writer.ports import Message

_Answer = TypeVar("_Answer")

AT_ONCE = 5
"""Calls at a time, as many as a usual batch needs: on a long way they take little but their round trips."""


async def of_batches(
    messages: Sequence[Message], call: Callable[[Sequence[Message]], Awaitable[_Answer]]
) -> list[_Answer]:
    """Makes a call for each ten messages, several at a time.

    Raises:
        TransientError: one of them failed. The others are made nevertheless.
    """
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(batch: Sequence[Message]) -> _Answer:
        async with turns:
            return await call(batch)

    answers = await asyncio.gather(*map(one, batches(messages)), return_exceptions=True)
    found = []
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
        found.append(answer)
    return found


def entries_of(messages: Sequence[Message], **more: Any) -> list[Any]:
    """The entries of a batch call about received messages; their ids are their indices."""
    return [
        {"Id": str(index), "ReceiptHandle": message.receipt, **more} for index, message in enumerate(messages)
    ]


def ids(entries: Sequence[Any]) -> list[str]:
    return [entry["Id"] for entry in entries]
