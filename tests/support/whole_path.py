"""Lambda and writer in one process, with nothing between them but the text of the messages."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING

from producer_lambda.packing import pack
from producer_lambda.records import Records
from tests.support.builders import MIB
from tests.support.fake_clock import FakeClock
from tests.support.fake_inbox import FakeInbox
from tests.support.lambda_events import in_lambda_event
from tests.support.strategies import arn, stream_record
from tests.support.writer_context import context_on
from writer.mapping.parser import parse_replication
from writer.mapping.rules import Rules
from writer.processor import BatchProcessor
from writer.runtime import SystemClock
from writer.sqs.lease import Lease

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
        context = context_on(SystemClock())
        received = await inbox.receive()
        lease = Lease(context, inbox, received, context.clock.monotonic())
        await BatchProcessor(context, inbox, self._sink, self._rules).process(received, lease)
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
