"""Lambda and writer in one process, with nothing between them but the text of the messages."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import TYPE_CHECKING

from producer_lambda.packing import pack
from producer_lambda.records import Records
from tests.support.builders import MIB
from tests.support.fakes import FakeClock, FakeInbox
from tests.support.lambda_events import in_lambda_event
from tests.support.strategies import arn, stream_record
from writer.mapping.parser import parse_replication
from writer.mapping.rules import Rules
from writer.runtime import SystemClock
from writer.service import Service
from writer.sqs.lease import Lease
from writer.telemetry.health import Health
from writer.telemetry.observer import Observer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from tests.support.oracle import Item
    from writer.ports import Sink

_sequence_numbers = itertools.count(1)
_LANES = 64


class WholePath:
    """Replicates what happens to tables into one sink."""

    def __init__(self, sink: Sink, mapping: str = "") -> None:
        """Begins without any change.

        Args:
            sink: the target.
            mapping: the text of a `replication.yaml`.
        """
        self._sink = sink
        self._rules = Rules(parse_replication(mapping, "mapping"))

    async def insert(self, table: str, key: Sequence[str], items: Iterable[Item]) -> None:
        """New items, in one event of the stream."""
        await self._replicate([_record("INSERT", table, key, item) for item in items])

    async def modify(
        self, table: str, key: Sequence[str], before: Iterable[Item], after: Iterable[Item]
    ) -> None:
        """The same items with other attributes, in one event of the stream."""
        pairs = zip(before, after, strict=True)
        await self._replicate([_record("MODIFY", table, key, new, old) for old, new in pairs])

    async def _replicate(self, records: Sequence[Any]) -> None:
        event = json.loads(json.dumps({"Records": records}))
        parsed = Records(event)
        changes = list(parsed)
        assert parsed.malformed == []
        messages, unsendable = pack(changes, _LANES, MIB)
        assert unsendable == []
        inbox = FakeInbox(FakeClock())
        inbox.most = len(messages)
        for message in messages:
            inbox.send(message.body, message.group)
        clock = SystemClock()
        service = Service(inbox, self._sink, self._rules, clock, Health(clock), observer=Observer())
        received = await inbox.receive()
        await service.process(received, Lease(inbox, received, clock, clock.monotonic()), asyncio.Event())
        assert inbox.letters == []
        assert inbox.bodies == []


def _record(name: str, table: str, key: Sequence[str], new: Item, old: Item | None = None) -> dict[str, Any]:
    image = in_lambda_event(new)
    return stream_record(
        name,
        next(_sequence_numbers),
        key={attribute: image[attribute] for attribute in key},
        new=image,
        old=None if old is None else in_lambda_event(old),
        eventSourceARN=arn(table),
    )
