"""Notes in MongoDB by which rules tables are replicated, and where this writer can be asked.

Law: nothing depends on it. What cannot be noted is tried again in the next round, and holds up no batch: the
loop has no part in the batches, and looks now and then which tables they have met.
"""

import asyncio
import dataclasses
import logging
import socket
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Protocol

from shared.errors import FatalError, PoisonError, TransientError
from writer.context import Context
from writer.mapping.fingerprint import fingerprint_of
from writer.mapping.rules import Rules
from writer.records import REFRESH_SECONDS, Fingerprint, Found, MappingRecord, WriterRecord
from writer.runtime import done_before
from writer.telemetry.health import Dependency

log = logging.getLogger(__name__)

LOOK_INTERVAL = 2.0
"""Seconds between two looks at which tables were met: no request is made if there is none."""

_END = 2.0  # seconds that the end of the writer may take for the removal of its record

_UNKNOWN = datetime.fromtimestamp(0, UTC)


class Records(Protocol):
    """See `writer.mongodb.records`."""

    async def now(self) -> datetime: ...
    async def note_mapping(self, table: str, fingerprint: Fingerprint, writer: WriterRecord) -> bool: ...
    async def mappings(self, *, queue: str = "", table: str = "") -> Found[MappingRecord]: ...
    async def writers(self) -> Found[WriterRecord]: ...
    async def note_writer(self, writer: WriterRecord) -> None: ...
    async def remove_writer(self, identity: str) -> None: ...


class Recording:
    """The notes of one writer."""

    def __init__(
        self,
        context: Context,
        records: Records,
        rules: Rules,
        describe: Callable[[], WriterRecord],
        table: str = "",
    ) -> None:
        """Notes nothing yet.

        Args:
            context: of the writer.
            records: the collections.
            rules: those that batches go by.
            describe: says what is known of this writer, and may take its time. MongoDB's clock dates it.
            table: the only one that is replicated; empty: all that the rules name or batches meet.
        """
        self._context = context
        self._records = records
        self._rules = rules
        self._resolve = (
            rules.fresh()
        )  # what other writers have met does not count among the tables of this one
        self._describe = describe
        self._table = table
        self._me: WriterRecord | None = None
        self._noted: set[str] = set()
        self._failures: Counter[str] = Counter()
        self._others: set[str] | None = None
        self._next_refresh = context.clock.monotonic()
        self._is_warned = False

    async def run(self) -> None:
        """Notes until the writer stops."""
        pause = 0.0
        while await done_before(self._context.stop, self._context.clock.sleep(pause)):
            pause = LOOK_INTERVAL if await self.round() else REFRESH_SECONDS / 4

    async def end(self) -> None:
        """Removes the record of this writer, if that is quick."""
        if self._me is None or Dependency.MONGODB in self._context.health.waits:
            return
        with suppress(TransientError, FatalError, TimeoutError):
            async with asyncio.timeout(_END):
                await self._records.remove_writer(self._me.id)

    async def round(self) -> bool:
        """Notes what is new; False: something could not be noted."""
        done = True
        try:
            me = await self._dated()
            for step in (self._note_writer, self._read_others, self._note_tables):
                try:
                    await step(me)
                except FatalError as error:  # a right is missing there, perhaps not elsewhere
                    self._warn(error)
                    done = False
        except TransientError as error:
            log.debug("recording in MongoDB was postponed", extra={"reason": str(error)})
            return False
        return done

    async def _dated(self) -> WriterRecord:
        if self._me is None:
            started = await self._records.now()
            # It asks the DNS, which can take long.
            self._me = dataclasses.replace(await asyncio.to_thread(self._describe), started=started)
        return self._me

    async def _note_writer(self, me: WriterRecord) -> None:
        if self._context.clock.monotonic() >= self._next_refresh:
            await self._records.note_writer(me)
            await self._look_after(me)
            self._next_refresh = self._context.clock.monotonic() + REFRESH_SECONDS

    async def _look_after(self, me: WriterRecord) -> None:
        """Notes again what is not there any more, or is of a writer that has ended, as after a rollback.

        The newest one of the queue that runs does that; what one has noted that starts meanwhile stays.
        """
        if not self._noted:
            return
        now, found = await self._records.now(), await self._records.writers()
        running = [each for each in found.records if each.queue == me.queue and not each.is_late(now)]
        if max(running, key=lambda each: (each.started, each.id), default=me).id != me.id:
            return
        records = {each.table: each for each in (await self._records.mappings(queue=me.queue)).records}
        for table in sorted(self._noted):
            record = records.get(table)
            started = me.started if record is None else max(me.started, record.started)
            await self._note(table, dataclasses.replace(me, started=started), record)

    async def _read_others(self, me: WriterRecord) -> None:
        """A table of a pattern that earlier writers have met may now go by other rules."""
        if self._others is None and not self._table:
            found = await self._records.mappings(queue=me.queue)
            self._others = {record.table for record in found.records}

    async def _note_tables(self, me: WriterRecord) -> None:
        tables = {*self._rules.named, *(self._others or ()), *self._rules.met}
        new = ({self._table} if self._table else tables) - self._noted
        for table in sorted(new, key=lambda name: (self._failures[name], name)):
            try:
                await self._note(table, me)
            except TransientError:
                self._failures[table] += 1  # so that it does not stand before the others for ever
                raise
            self._noted.add(table)

    async def _note(self, table: str, me: WriterRecord, record: MappingRecord | None = None) -> None:
        """Notes the rules of a table, unless a record that is there has the same."""
        try:
            rules = self._resolve.table(table)
        except PoisonError:  # it is not replicated by these rules
            return
        fingerprint = fingerprint_of(rules, self._resolve.database)
        if record is not None and record.hash == fingerprint.hash:
            return
        if not await self._records.note_mapping(table, fingerprint, me):
            log.info("a writer that started later has recorded its rules", extra={"table": table})

    def _warn(self, error: FatalError) -> None:
        if not self._is_warned:
            self._is_warned = True
            log.warning(
                "cannot record the mapping and this writer in MongoDB: commands cannot compare their mapping "
                "with it, nor find this writer",
                extra={"reason": str(error)},
            )


def describe_writer(
    identity: str, queue: str, version: str, status: tuple[str, int] | None, server: tuple[str, int] | None
) -> WriterRecord:
    """Describes this process, without the times.

    Args:
        identity: of the process, unlike every other.
        queue: the URL of its queue, or the ARN of its stream.
        version: of the product.
        status: address and port of its status server; None: it has none.
        server: host and port of MongoDB, to find the address by which this machine is seen.
    """
    host = socket.gethostname()
    seen_as = None if server is None or status is None else own_address(server)
    urls = {} if status is None else status_urls(*status, host, seen_as)
    return WriterRecord(
        identity, queue, host, urls.get("status_url"), urls.get("local_url"), version, _UNKNOWN, _UNKNOWN
    )


def status_urls(address: str, port: int, host: str, seen_as: str | None) -> Mapping[str, str | None]:
    """Where a status server can be asked.

    Args:
        address: what it listens on.
        port: its port.
        host: the name of its machine.
        seen_as: the machine's address on the way to MongoDB.
    """
    outside: str | None
    inside = outside = address
    with suppress(ValueError):
        listens = ip_address(address)
        if listens.is_loopback:
            outside = None
        elif listens.is_unspecified:
            inside = "::1" if ":" in address else "127.0.0.1"
            outside = host if seen_as is None or ip_address(seen_as).is_loopback else seen_as
    if address == "localhost":
        outside = None
    return {"status_url": None if outside is None else _url(outside, port), "local_url": _url(inside, port)}


def own_address(server: tuple[str, int]) -> str | None:
    """The address of this machine on the way to a server; nothing is sent. None: it is not known."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(*server, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as probe:
            probe.connect(address)
            found = str(probe.getsockname()[0]).partition("%")[0]
            ip_address(found)
            return found
    except (OSError, ValueError):
        return None


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
