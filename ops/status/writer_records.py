"""Finds the writers of a queue by the records that they keep in MongoDB, and asks those that should run.

A record is renewed every minute while its writer lives, and removed when it ends. One that was not renewed
for some minutes is of a writer that was killed, unless it answers.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ops.status.facts import Writer, Writers
from ops.status.writer_answers import ask_writers
from shared.errors import FatalError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from writer.records import WriterRecord

_MOST = 200
"""Writers that are asked, the last seen first."""

_SECONDS = 15.0
"""For reading the records."""


@dataclass(frozen=True, slots=True)
class Database:
    """Where writers keep their records; the URI may hold a password."""

    uri: str
    name: str

    @property
    def is_named(self) -> bool:
        """Whether it can be asked."""
        return bool(self.uri and self.name)


@dataclass(frozen=True, slots=True)
class Records:
    """What MongoDB knows of the writers of a queue.

    Attributes:
        found: the last seen first.
        now: by MongoDB's clock; None: the records were not read.
        why_unknown: why there may be more writers; empty: there are no others.
        is_asked: whether a person said where MongoDB is.
    """

    found: Sequence[WriterRecord] = ()
    now: datetime | None = None
    why_unknown: str = ""
    is_asked: bool = True


def read_records(database: Database, queue: str) -> Records:
    """Reads the records of the writers of a queue; what prevents it is part of the answer."""
    if not database.is_named:
        why = (
            "name MongoDB, where each writer keeps a record, with --mongodb-uri and --mongodb-database, "
            "or name the writers with --writer URL"
        )
        return Records(why_unknown=why, is_asked=False)
    try:
        return asyncio.run(_read(database, queue))
    except (FatalError, TransientError) as error:
        return Records(why_unknown=str(error))
    except TimeoutError:
        return Records(why_unknown=f"MongoDB gave no answer within {_SECONDS:g} s")


async def _read(database: Database, queue: str) -> Records:
    from ops.records import running_writers  # noqa: PLC0415 - help does not wait for the driver

    async with asyncio.timeout(_SECONDS):
        found, now = await running_writers(database.uri, database.name)
    ours = sorted((each for each in found.records if each.queue == queue), key=lambda each: each.seen)
    why = ""
    if found.odd:
        why = f"{found.odd:,} records of writers in the database {database.name} cannot be read"
    elif len(ours) > _MOST:
        why = f"there are {len(ours):,} records, but at most {_MOST} writers are asked"
    return Records(ours[::-1][:_MOST], now, why)


def ask_known_writers(records: Records, named: Iterable[str], at: float) -> Writers:
    """Asks the writers that have a record, and those that a person has named.

    Args:
        records: what MongoDB knows.
        named: URLs of status servers.
        at: the time here, seconds since the epoch.
    """
    here = socket.gethostname()
    urls: dict[str, WriterRecord | None] = dict.fromkeys(each.rstrip("/") for each in named)
    expected = frozenset(urls)
    why_unknown = "" if urls and not records.is_asked else records.why_unknown
    silent: list[WriterRecord] = []
    for record in records.found:
        if url := record.url_from(here):
            urls[url] = urls.get(url) or record  # an address may be used again: the last seen counts
        else:
            silent.append(record)
    answers = [
        (record, _seen(writer, record, records.now, at))
        for record, writer in zip(urls.values(), ask_writers(urls), strict=True)
    ]
    answers += [
        (each, _seen(Writer("", why_unknown=_only_there(each)), each, records.now, at)) for each in silent
    ]
    asked: list[Writer] = []
    ended: list[Writer] = []
    for known, writer in answers:
        # One that a person has named should run, whatever its record says.
        has_ended = writer.url not in expected and _has_ended(known, writer, records.now)
        (ended if has_ended else asked).append(writer)
    return Writers(asked, ended, why_unknown)


def _seen(writer: Writer, record: WriterRecord | None, now: datetime | None, at: float) -> Writer:
    """The writer with its last sign of life, on our clock: MongoDB's may differ."""
    if record is None or now is None:
        return writer
    return replace(writer, host=record.host, seen=at - max(0.0, (now - record.seen).total_seconds()))


def _has_ended(record: WriterRecord | None, writer: Writer, now: datetime | None) -> bool:
    is_late = record is not None and now is not None and record.is_late(now)
    return is_late and (bool(writer.error) or bool(writer.why_unknown and not writer.figures))


def _only_there(record: WriterRecord) -> str:
    return f"its status server answers only on {record.host}, as STATUS_HOST says"
