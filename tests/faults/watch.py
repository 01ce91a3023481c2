"""A change stream on the target: which versions every document had, in which order.

Law: a document that exists only gets higher versions (P2). A document that comes back in a version below its
tombstone is a *stale insert*: two writers held the key at the same time, and the re-check or the sweep must
remove it. The test decides whether there may be any; none may stay.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pymongo
from pymongo.errors import ConnectionFailure, OperationFailure

from tests.support.oracle import METADATA_FIELD, frozen
from writer.names import TOMBSTONES

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from pymongo.change_stream import DatabaseChangeStream

MARKS = "marks"
_AWAIT_MS = 50


@dataclass
class _Document:
    """One document's past: its version (None: it is not there), the highest one it had, its tombstone's."""

    version: str | None = None
    highest: str | None = None
    tombstone: str = ""


@dataclass
class Timeline:
    """Judges events one by one. Pure.

    Attributes:
        events: how many changes of documents there were.
        violations: what must never happen, in words.
        stale_inserts: documents that came back in a version below their tombstone.
    """

    events: int = 0
    violations: list[str] = field(default_factory=list)
    stale_inserts: list[str] = field(default_factory=list)
    _documents: dict[Hashable, _Document] = field(default_factory=dict)

    def wrote(self, collection: str, document_id: Any, version: str, *, inserted: bool) -> None:
        """A document was inserted, or replaced."""
        document = self._of(collection, document_id)
        self.events += 1
        told = f"{collection} {document_id!r}: {version}"
        if not inserted and document.version is not None and version <= document.version:
            self.violations.append(f"{told} replaced {document.version}")
        if inserted and version < document.tombstone:
            self.stale_inserts.append(f"{told} was inserted, deleted at {document.tombstone}")
        elif inserted and document.highest is not None and version <= document.highest:
            self.violations.append(
                f"{told} was inserted after {document.highest}, and no tombstone forbids it"
            )
        document.version = version
        document.highest = max(document.highest or "", version)

    def deleted(self, collection: str, document_id: Any) -> None:
        """A document was deleted."""
        self.events += 1
        document = self._of(collection, document_id)
        if document.version is not None and document.tombstone < document.version:
            self.violations.append(
                f"{collection} {document_id!r}: {document.version} was deleted, but the tombstone is "
                f"{document.tombstone or 'missing'}"
            )
        document.version = None

    def buried(self, collection: str, document_id: Any, version: str) -> None:
        """A tombstone was written."""
        document = self._of(collection, document_id)
        if version < document.tombstone:
            self.violations.append(
                f"{collection} {document_id!r}: tombstone {version} replaced {document.tombstone}"
            )
        document.tombstone = version

    def version(self, collection: str, document_id: Any) -> str | None:
        """The version that a document has; None: it is not there, or has none."""
        return self._of(collection, document_id).version

    def forget(self) -> None:
        """Forgets the past: the test itself has written to the database."""
        self.violations.clear()
        self._documents.clear()

    def back(self) -> list[str]:
        """Deleted documents that exist."""
        return [
            f"{identity}: {document.version}, deleted at {document.tombstone}"
            for identity, document in self._documents.items()
            if document.version is not None and document.version < document.tombstone
        ]

    def _of(self, collection: str, document_id: Any) -> _Document:
        return self._documents.setdefault((collection, frozen(document_id)), _Document())


class Watch:
    """Follows one database. One thread calls `step`."""

    def __init__(self, uri: str, database: str, collections: Sequence[str]) -> None:
        """Start watching.

        Args:
            uri: The MongoDB.
            database: An empty database.
            collections: Those that will be written.
        """
        self._client = pymongo.MongoClient[dict[str, Any]](uri, serverSelectionTimeoutMS=1_000)
        self._database = self._client[database]
        self._collections = {*collections, MARKS, TOMBSTONES}
        for name in collections:
            self._database.create_collection(name)
        self._start = self._database.command("ping")["operationTime"]
        self._token: Mapping[str, Any] | None = None
        self._stream: DatabaseChangeStream[dict[str, Any]] | None = None
        self._marked = 0
        self._seen_mark = 0
        self.timeline = Timeline()

    def step(self) -> bool:
        """Takes one event, if there is one; waits during an outage of MongoDB."""
        try:
            if self._stream is None:
                self._stream = self._open()
            event = self._stream.try_next()
        except ConnectionFailure:
            self._close_stream()
            return False
        except OperationFailure as error:
            if not error.has_error_label("ResumableChangeStreamError"):
                raise
            self._close_stream()
            return False
        if event is not None:
            self._note(event)
        self._token = self._stream.resume_token
        return event is not None

    def mark(self) -> None:
        """Writes something that `at_mark` recognises."""
        self._marked += 1
        self._database[MARKS].insert_one({"_id": self._marked})

    def at_mark(self) -> bool:
        """Whether everything before the last `mark` was seen."""
        return self._seen_mark == self._marked

    def close(self) -> None:
        """Ends it."""
        self._close_stream()
        self._client.close()

    def _open(self) -> DatabaseChangeStream[dict[str, Any]]:
        begin: dict[str, Any] = (
            {"resume_after": self._token} if self._token else {"start_at_operation_time": self._start}
        )
        return self._database.watch(max_await_time_ms=_AWAIT_MS, **begin)

    def _close_stream(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._stream = None

    def _note(self, event: Mapping[str, Any]) -> None:
        kind, collection = event["operationType"], event["ns"].get("coll", "")
        if kind not in ("insert", "replace", "update", "delete") or collection not in self._collections:
            return
        document_id = event["documentKey"]["_id"]
        if kind == "delete":
            if collection not in (MARKS, TOMBSTONES):
                self.timeline.deleted(collection, document_id)
            return
        if collection == MARKS:
            self._seen_mark = document_id
        elif collection == TOMBSTONES:
            if version := _written(event, "v"):
                self.timeline.buried(document_id["c"], document_id["k"], version)
        else:
            # An update that leaves the version as it is has written the same version again.
            version = _written(event, f"{METADATA_FIELD}.v") or self.timeline.version(collection, document_id)
            if version:  # otherwise a test wrote it
                self.timeline.wrote(collection, document_id, version, inserted=kind == "insert")


def _written(event: Mapping[str, Any], path: str) -> str | None:
    """What an event wrote at a path of a document; None: nothing.

    Not the document after the event, which MongoDB 5.0 does not keep: only what the update changed.
    """
    value: Any = event.get("fullDocument")
    if value is None:
        value = event["updateDescription"]["updatedFields"]
        if path in value:
            return str(value[path])
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return None if value is None else str(value)
