"""The dead letters of `follow` that are applied again, and those that its copies make.

Law: a letter is deleted after what it holds is acknowledged, and what was parked of it anew is there before.
So a kill at any moment leaves it, marked. It is applied once more, which the version guard makes harmless.
"""

from __future__ import annotations

import asyncio
import functools
import json
from base64 import b64decode
from contextlib import suppress
from typing import TYPE_CHECKING

from follow.delivery import ROOM
from ops.migration.json_lines import json_of
from ops.queues.dead_letters import copied_in, stored_letter
from shared.attribute_values import encode_item
from shared.dead_letter import DeadLetter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from follow.queue import LaneQueue
    from ops.migration.backfill.copier import Reject
    from ops.migration.images import Key
    from ops.migration.retry import Retry
    from writer.mongodb.dead_letters import DeadLetters, Stored

_LOOK_SECONDS = 2.0


def letter_of_reject(table: str, reject: Reject) -> DeadLetter:
    """The letter for an item that cannot be copied. It names the item: what it is by then is read again."""
    key = json.dumps(encode_item(reject.key)[0], ensure_ascii=False, separators=(",", ":"))
    body = json.dumps({"copied": json_of(reject.key), "table": table}, ensure_ascii=False)
    return DeadLetter(body, f"{table[:80]}/copied", reject.code, reject.reason, table, key)


class Redriver:
    """Takes letters that are marked for it into the queue, and deletes those that are done with."""

    def __init__(
        self,
        letters: DeadLetters,
        queue: LaneQueue,
        retry: Retry,
        copy_again: Callable[[], Mapping[str, Callable[[Key], Awaitable[Reject | None]]]],
    ) -> None:
        """Has taken none.

        Args:
            letters: where they are.
            queue: where they go.
            retry: repeats calls.
            copy_again: of each table that is ours by now, what copies an item of it as it is now.
        """
        self._letters = letters
        self._queue = queue
        self._retry = retry
        self._copy_again = copy_again
        self._taken: dict[str, int] = {}  # the bytes of each
        self._done: list[Stored] = []
        self._go_on = asyncio.Event()
        self._found_none = False

    @property
    def is_idle(self) -> bool:
        """Whether there was no marked letter at a look since `look_again`, and none is in hand."""
        return self._found_none and not self._taken

    def look_again(self) -> None:
        """Looks now."""
        self._found_none = False
        self._go_on.set()

    async def run(self) -> None:
        """Works until it is cancelled."""
        while True:
            self._go_on.clear()
            while self._done:
                await self._delete(self._done[0])
                del self._taken[self._done.pop(0)["_id"]]
            if sum(self._taken.values()) <= ROOM:
                await self._look()
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._go_on.wait()

    async def _look(self) -> None:
        tables = self._copy_again()
        found = await self._retry.until_done(lambda: self._letters.marked([*tables], [*self._taken]))
        read = [(each, letter) for each in found if (letter := stored_letter(each)) is not None]
        self._found_none = not read
        for each, letter in read:
            self._taken[letter.id] = len(letter.body)
            if (key := copied_in(letter.body)) is not None and letter.table in tables:
                await self._copy(each, tables[letter.table], key)
                continue
            body = letter.body_to_send(self._queue.park_limit)
            self._queue.put_again(letter.id, body, letter.lane, functools.partial(self._settled, each))

    async def _copy(self, letter: Stored, copy: Callable[[Key], Awaitable[Reject | None]], key: Key) -> None:
        reject = await copy(_with_bytes(key))
        if reject is None:
            self._settled(letter)
            return
        await self._retry.until_done(lambda: self._letters.unmark(letter, reject.code, reject.reason))
        del self._taken[letter["_id"]]

    def _settled(self, letter: Stored) -> None:
        self._done.append(letter)
        self._go_on.set()

    async def _delete(self, letter: Stored) -> None:
        await self._retry.until_done(lambda: self._letters.delete(letter))


def _with_bytes(key: Key) -> Key:
    return {
        name: {kind: b64decode(text) if kind == "B" else text for kind, text in value.items()}
        for name, value in key.items()
    }
