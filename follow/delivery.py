"""Brings the pages of one stream into the queue as the Lambda's messages, and knows how far they are settled.

Law: what becomes no message is parked before its page counts. A stream has a bounded room in the queue: while
it is full, no page of it is asked for. At most `TURNS` pages of all streams are in hand.
"""

from __future__ import annotations

import asyncio
import functools
from datetime import datetime
from typing import TYPE_CHECKING, Any

from follow.progress import Page, Progress
from follow.reader.lineage import Position
from producer_lambda.letters import letter_of
from producer_lambda.packing import pack
from producer_lambda.records import Records

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from follow.queue import LaneQueue
    from shared.dead_letter import DeadLetter

ROOM = 2 * 1024 * 1024
"""Bytes of messages in the queue after which no more are read; all streams have a share of it."""

TURNS = 2
"""Pages of all streams that are asked for at the same time. The answer to each has up to a MB."""

_LANES = 64
"""As the Lambda's default."""


class Delivery:
    """A `follow.reader.reader.Receiver`."""

    def __init__(  # noqa: PLR0913 - what it is wired to, and its limits
        self,
        stream: str,
        queue: LaneQueue,
        positions: Mapping[str, Position],
        park: Callable[[Sequence[DeadLetter]], Awaitable[None]],
        old_image_fields: frozenset[str] = frozenset(),
        *,
        turns: asyncio.Semaphore,
        room: int = ROOM,
    ) -> None:
        """Has nothing yet.

        Args:
            stream: its ARN.
            queue: where the messages go.
            positions: how far each shard is durable.
            park: keeps dead letters; raises no `TransientError`.
            old_image_fields: as the Lambda's setting.
            turns: those of all streams.
            room: bytes of messages in the queue after which this stream is not read.
        """
        self._stream = stream
        self._queue = queue
        self._park = park
        self._old_image_fields = old_image_fields
        self._shards = {shard: Progress(position) for shard, position in positions.items()}
        self._forgotten: set[str] = set()
        self.was_listed = False
        """Whether the stream was listed since the last note."""
        self._turns = turns
        self._most = room
        self._bytes = 0
        self._room = asyncio.Event()
        self.changes = 0
        """Changes that were put into the queue."""
        self.settled = 0
        """Messages that were acknowledged."""
        self.made: float | None = None
        """When the oldest change of the page was made that was acknowledged last, seconds since the epoch."""

    @property
    def turns(self) -> asyncio.Semaphore:
        """See `Receiver`."""
        return self._turns

    async def room(self) -> None:
        """See `Receiver`. A stream whose room is full takes no turn from the others."""
        while self._bytes > self._most:
            self._room.clear()
            await self._room.wait()

    async def page(self, shard: str, records: Sequence[dict[str, Any]], last: str) -> None:
        """See `Receiver`."""
        event = {"Records": [_in_lambda(each, self._stream) for each in records]}
        parsed, limit = Records(event, self._old_image_fields), self._queue.park_limit
        messages, unsendable = pack(parsed, _LANES, limit)
        letters = [letter_of(lost, limit) for lost in parsed.malformed]
        letters += [letter_of(lost, limit) for lost in unsendable]
        if letters:
            await self._park(letters)
        progress = self._shards.setdefault(shard, Progress(Position()))
        page = progress.add(last, len(messages))
        for message in messages:
            self._bytes += message.size
            self.changes += message.changes
            settle = functools.partial(self._acknowledged, progress, page, message.size, _made(records[0]))
            self._queue.put(message, settle)

    def _acknowledged(self, progress: Progress, page: Page, size: int, made: float | None) -> None:
        progress.acknowledge(page)
        self.settled += 1
        self.made = made
        self._bytes -= size
        self._room.set()

    def end(self, shard: str) -> None:
        """See `Receiver`."""
        self._shards.setdefault(shard, Progress(Position())).end()

    def listed(self, forgotten: Sequence[str]) -> None:
        """See `Receiver`."""
        self.was_listed = True
        self._forgotten.update(forgotten)

    @property
    def is_settled(self) -> bool:
        """Whether nothing of the stream is in the queue."""
        return self._bytes == 0

    async def note(self, write: Callable[..., Awaitable[None]]) -> None:
        """Notes durably how far all shards are settled; what fails is noted the next time.

        `write`: gets the positions that changed, the shards that are not there any more, and by `listed`
        whether the stream was listed since.
        """
        positions = {
            shard: position
            for shard, progress in self._shards.items()
            if (position := progress.unreported()) is not None
        }
        # One that has ended, and is not all settled yet, is kept: if we die now, its end would be a gap.
        gone = {
            shard for shard in self._forgotten if shard not in self._shards or self._shards[shard].is_done
        }
        listed, self.was_listed = self.was_listed, False
        try:
            await write(
                {shard: each for shard, each in positions.items() if shard not in gone}, gone, listed=listed
            )
        except BaseException:
            self.was_listed |= listed
            raise
        for shard, position in positions.items():
            self._shards[shard].reported(position)
        for shard in gone:
            self._shards.pop(shard, None)
        self._forgotten -= gone


def _made(record: dict[str, Any]) -> float | None:
    """When a record was made, as AWS says; None: it does not."""
    made = record["dynamodb"].get("ApproximateCreationDateTime")
    return made.timestamp() if isinstance(made, datetime) else None


def _in_lambda(record: dict[str, Any], stream: str) -> dict[str, Any]:
    """A record of the streams API as Lambda has it: it names its stream, and members are in lower case.

    Source: AWS Lambda developer guide, "Using AWS Lambda with Amazon DynamoDB"; Amazon DynamoDB API
    reference, ``Record`` and ``Identity``.
    """
    identity = record.get("userIdentity")
    if isinstance(identity, dict):
        identity = {name[:1].lower() + name[1:]: value for name, value in identity.items()}
    return {**record, "eventSourceARN": stream, "userIdentity": identity}
