"""What writers note in MongoDB: the rules they replicate by, and where they can be asked. Pure.

Law: these are notes for commands; replication never reads them. What is read back is not trusted: a document
that is not as a writer writes it is none, and is counted.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, NamedTuple, TypeVar

WRITER_SECONDS = 24 * 3600
"""After so long without a sign of life a writer's record expires."""

REFRESH_SECONDS = 60.0
"""How often a writer renews its record."""

LATE = timedelta(seconds=3 * REFRESH_SECONDS)
"""After so long without a sign of life a writer has been killed, as far as its record tells."""

_LONGEST = 2048
_LONGEST_RULES = 1 << 20
_URL = re.compile(r"http://(\[[0-9A-Za-z:.%]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}").fullmatch

_Record = TypeVar("_Record")


class Fingerprint(NamedTuple):
    """The effective rules of a table (`writer.mapping.fingerprint`).

    Attributes:
        hash: equal for the same rules.
        rules: the rules as a JSON object.
    """

    hash: str
    rules: str


@dataclass(frozen=True, slots=True)
class MappingRecord:
    """By which rules the writers of a queue replicate a table.

    Attributes:
        table: the name of the DynamoDB table.
        queue: the URL of the queue that the writers drain; of a process that follows the table itself the ARN
            of the stream.
        hash: of the rules (`writer.mapping.fingerprint`).
        rules: the effective rules, a JSON object as text.
        version: of the product; empty: not known.
        since: when these rules were first noted, by MongoDB's clock.
        started: when the writer that noted them started, by MongoDB's clock. The newest decides.
        writer: the `id` of that writer's record.
    """

    table: str
    queue: str
    hash: str
    rules: str
    version: str
    since: datetime
    started: datetime
    writer: str

    @property
    def is_follower(self) -> bool:
        """Whether it is of a process that reads the stream itself."""
        return self.queue.startswith("arn:")

    @property
    def namespace(self) -> str:
        """Database and collection of the documents; empty: the rules do not say."""
        rules = json.loads(self.rules)
        parts = (rules.get("database"), rules.get("collection"))
        return ".".join(map(str, parts)) if all(parts) else ""


@dataclass(frozen=True, slots=True)
class WriterRecord:
    """A writer that runs, or did until it was killed.

    Attributes:
        id: of the process.
        queue: the URL of the queue that it drains, or the ARN of the stream that it follows.
        host: the name that its machine gives itself.
        status_url: where its status server is, as seen from the network: no more than a good guess. None: it
            can be reached from its own machine only.
        local_url: where its status server is, as seen from its own machine; None: it has none.
        version: of the product; empty: not known.
        started: by MongoDB's clock.
        seen: its last sign of life, by MongoDB's clock; renewed every `REFRESH_SECONDS`.
    """

    id: str
    queue: str
    host: str
    status_url: str | None
    local_url: str | None
    version: str
    started: datetime
    seen: datetime

    def is_late(self, now: datetime) -> bool:
        """Whether it seems to have ended without saying so, by MongoDB's clock."""
        return now - self.seen > LATE

    def url_from(self, host: str) -> str | None:
        """Where to ask it, from a machine of a name; None: it is not known."""
        return self.local_url if host == self.host and self.local_url else self.status_url


@dataclass(frozen=True, slots=True)
class Found(Generic[_Record]):
    """Records that were read, and the number of documents beside them that are none."""

    records: tuple[_Record, ...]
    odd: int


def mappings_in(documents: Iterable[object]) -> Found[MappingRecord]:
    """Reads the documents of `writer.names.MAPPINGS`."""
    return _read(documents, _mapping)


def writers_in(documents: Iterable[object]) -> Found[WriterRecord]:
    """Reads the documents of `writer.names.WRITERS`."""
    return _read(documents, _writer)


def _read(documents: Iterable[object], read: Callable[[Mapping[str, Any]], _Record]) -> Found[_Record]:
    records: list[_Record] = []
    odd = 0
    for document in documents:
        try:
            if not isinstance(document, Mapping):
                raise _OddError
            records.append(read(document))
        except _OddError:
            odd += 1
    return Found(tuple(records), odd)


class _OddError(Exception):
    """A document that no writer wrote."""


def _mapping(document: Mapping[str, Any]) -> MappingRecord:
    identity = document.get("_id")
    if not isinstance(identity, Mapping):
        raise _OddError
    return MappingRecord(
        table=_text(identity, "table"),
        queue=_text(identity, "queue"),
        hash=_text(document, "hash"),
        rules=_rules(document.get("rules")),
        version=_text(document, "version", may_be_empty=True),
        since=_time(document, "since"),
        started=_time(document, "started"),
        writer=_text(document, "writer"),
    )


def _writer(document: Mapping[str, Any]) -> WriterRecord:
    return WriterRecord(
        id=_text(document, "_id"),
        queue=_text(document, "queue"),
        host=_text(document, "host"),
        status_url=_url(document.get("status_url")),
        local_url=_url(document.get("local_url")),
        version=_text(document, "version", may_be_empty=True),
        started=_time(document, "started"),
        seen=_time(document, "seen"),
    )


def _text(document: Mapping[str, Any], name: str, *, may_be_empty: bool = False) -> str:
    found = document.get(name)
    if type(found) is not str or len(found) > _LONGEST or not found.isprintable():  # code is a str, too
        raise _OddError
    if not found and not may_be_empty:
        raise _OddError
    return found


def _time(document: Mapping[str, Any], name: str) -> datetime:
    found = document.get(name)
    if not isinstance(found, datetime):
        raise _OddError
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _url(found: object) -> str | None:
    if found is None:
        return None
    if not isinstance(found, str) or not _URL(found):
        raise _OddError
    return found


def _rules(found: object) -> str:
    if not isinstance(found, str) or len(found) > _LONGEST_RULES:
        raise _OddError
    try:
        rules = json.loads(found)
    except (ValueError, RecursionError):
        raise _OddError from None
    if not isinstance(rules, dict):
        raise _OddError
    return found
