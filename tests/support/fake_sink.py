"""The writer's database in memory. The contract suite runs against this and a real MongoDB alike."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import bson

from shared.version import BACKFILL
from tests.support.fake_faults import Faults
from writer.mongodb.apply import Tombstone, Written, apply
from writer.mongodb.older_streams import tell_older_streams
from writer.ports import Failure, FailureKind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from writer.mongodb.apply import Command
    from writer.ports import Outcome
    from writer.write import Mark, Removal, Write

Place = tuple[str, str]


class FakeStore:
    """Documents and tombstones in dicts; each operation is atomic, as it is on the real database."""

    def __init__(self) -> None:
        self.documents: defaultdict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        self.tombstones: dict[Place, Tombstone] = {}
        self.required: dict[str, str] = {}
        """By collection, a field that its validator demands."""
        self.unique: dict[str, str] = {}
        """By collection, a field with a unique index."""
        self.refuses: Callable[[Write], Failure | None] = lambda _: None
        """What the database says instead of writing."""
        self.at_point: Callable[[str], Awaitable[None]] | None = None
        """Is awaited between any two operations."""

    async def _point(self, name: str) -> None:
        if self.at_point is not None:
            await self.at_point(name)

    async def write_tombstones(self, tombstones: Sequence[tuple[Write, Tombstone]]) -> Mapping[int, Failure]:
        for write, news in tombstones:
            await self._point("write tombstone")
            there = self.tombstones.get(_place(write), Tombstone())
            mark = max((there.mark, news.mark), key=lambda mark: mark.version if mark else "")
            self.tombstones[_place(write)] = Tombstone(max(there.removed, news.removed), mark)
        return {}

    async def newer_tombstones(self, puts: Sequence[Write]) -> Mapping[int, Tombstone]:
        await self._point("read tombstones")
        newer = {}
        for index, put in enumerate(puts):
            there = self.tombstones.get(_place(put), Tombstone())
            removed = there.removed if there.removed > put.version else ""
            mark = there.mark if there.mark and there.mark.version > put.version else None
            if removed or mark:
                newer[index] = Tombstone(removed, mark)
        return newer

    async def stored_versions(self, puts: Sequence[Write]) -> Mapping[int, object]:
        found = {index: self._find(put, {}) for index, put in enumerate(puts)}
        return {
            index: _metadata(self.documents[_place(puts[index])[0]][key]).get("v")
            for index, key in found.items()
            if key is not None
        }

    async def write(self, commands: Sequence[Command]) -> Written:
        failures: dict[int, Failure] = {}
        inserted: set[int] = set()
        unchanged: Counter[tuple[str, str]] = Counter()
        modified = deleted = 0
        for index, command in enumerate(commands):
            await self._point("write")
            if (failure := self.refuses(command.write)) is not None:
                failures[index] = failure
                continue
            if command.removal is not None:
                deleted += self._delete(command.write, command.removal)
                continue
            match self._update(command):
                case Failure() as failure:
                    failures[index] = failure
                case "inserted":
                    inserted.add(index)
                case "modified":
                    modified += 1
                case "stale":
                    unchanged[command.write.target[:2]] += 1
        await self._point("answer")
        conflicts: dict[int, Mapping[str, Any]] = {
            index: {} for index, failure in failures.items() if failure.kind is FailureKind.HEALABLE
        }
        return Written(
            failures, conflicts, inserted=inserted, modified=modified, unchanged=unchanged, deleted=deleted
        )

    async def exchange(self, commands: Sequence[Command], written: Written) -> None:
        await self._point("exchange")
        newest: dict[Place, int] = {}
        for index in sorted(written.conflicts, key=lambda index: commands[index].write.version):
            if commands[index].puts and not commands[index].write.shard:
                newest[_place(commands[index].write)] = index
        left = sorted(newest.values())
        while left and (refused := self._together([commands[i] for i in left], left, written)) is not None:
            left.remove(refused)

    def helped(self, databases: AbstractSet[str]) -> Sequence[Write]:  # noqa: ARG002 - it remembers none
        return ()

    def looked_at(self, helped: Sequence[Write]) -> None:
        pass

    def _together(self, commands: Sequence[Command], names: Sequence[int], written: Written) -> int | None:
        """All documents at once, as a transaction does; or none, and the first that is refused."""
        before = {name: dict(documents) for name, documents in self.documents.items()}
        done: dict[int, str] = {}
        for command in commands:
            collection, key = _place(command.write)
            self.documents[collection].pop(key, None)
        for index, command in zip(names, commands, strict=True):
            collection, key = _place(command.write)
            there = before.get(collection, {}).get(key)
            after = self._put(command.write, there)
            after = _marked(after, command.mark) if command.mark else after
            if self._refused(collection, key, after) is not None:
                self.documents.clear()
                self.documents.update(before)
                return index
            self.documents[collection][key] = after
            done[index] = "inserted" if there is None else "stale" if after == there else "modified"
        for index, what in done.items():
            del written.failures[index]
            written.inserted |= {index} if what == "inserted" else set()
            written.suspects |= {index} if what == "modified" else set()
            written.modified += what == "modified"
            if what == "stale":
                written.unchanged[commands[names.index(index)].write.target[:2]] += 1
        return None

    def _update(self, command: Command) -> Failure | str:
        collection, key = _place(command.write)
        key = self._find(command.write, command.write.shard) or f"{key}{dict(command.write.shard) or ''}"
        before = self.documents[collection].get(key)
        after = self._put(command.write, before) if command.puts else before
        if after is not None and command.mark is not None:
            after = _marked(after, command.mark)
        if after is None:
            return "absent"
        if after == before:
            return "stale"
        if (failure := self._refused(collection, key, after)) is not None:
            return failure
        self.documents[collection][key] = after
        return "inserted" if before is None else "modified"

    def _find(self, write: Write, shard: Mapping[str, Any]) -> str | None:
        """The document, where the shard key says; there may be one with that `_id` on another shard."""
        collection, _ = _place(write)
        for key, document in self.documents[collection].items():
            if repr(document["_id"]) == repr(write.target.document_id) and all(
                document.get(path) == value for path, value in shard.items()
            ):
                return key
        return None

    def _put(self, write: Write, before: dict[str, Any] | None) -> dict[str, Any]:
        assert write.document is not None
        if before is not None and not self.is_older(before, write.version):
            return before
        document = bson.decode(write.document)
        if write.merge is not None and before is not None and _version(before) >= write.merge.reset:
            left = {*_metadata(before).get("names", ()), *write.merge.unset} - {*write.merge.names}
            document = {name: value for name, value in before.items() if name not in left} | document
        deleted = _metadata(before).get("deleted", {})
        if write.keeps_marks and deleted.get("v", "") > write.version:
            document["_ddb"] = {**document["_ddb"], "deleted": deleted}
        return document

    def is_older(self, present: dict[str, Any], version: str) -> bool:
        """The guard of a put."""
        if version == BACKFILL:
            return not isinstance(_metadata(present).get("v"), str)
        return _version(present) < version

    def _delete(self, write: Write, removal: Removal) -> bool:
        collection, _ = _place(write)
        key = self._find(write, removal.shard)
        if key is None:
            return False
        version = _version(self.documents[collection][key])
        if version > removal.version or (version == removal.version and not removal.same):
            return False
        del self.documents[collection][key]
        return True

    def sweep(self) -> None:
        """What `writer.side_tasks` has done when it is through."""
        for (collection, key), tombstone in self.tombstones.items():
            present = self.documents[collection].get(key)
            if present is not None and "" < _version(present) < tombstone.removed:
                del self.documents[collection][key]

    def _refused(self, collection: str, key: str, document: dict[str, Any]) -> Failure | None:
        if (name := self.required.get(collection)) and name not in document:
            return Failure(FailureKind.PERMANENT, "121", "Document failed validation")
        if (name := self.unique.get(collection)) and any(
            other.get(name) == document.get(name)
            for place, other in self.documents[collection].items()
            if place != key
        ):
            return Failure(FailureKind.HEALABLE, "11000", "another document has the same value", name)
        return None


class FakeSink:
    """The real steps of `writer.mongodb.apply` on a `FakeStore`."""

    def __init__(self, store: FakeStore | None = None) -> None:
        self.store = store or FakeStore()
        self.faults = Faults()
        self.fails_with: dict[str, Exception] = {}
        """By the `repr` of an `_id`, the errors of all batches with such a document."""

    @property
    def documents(self) -> defaultdict[str, dict[str, dict[str, Any]]]:
        return self.store.documents

    @property
    def required(self) -> dict[str, str]:
        return self.store.required

    @property
    def unique(self) -> dict[str, str]:
        return self.store.unique

    def all(self, collection: str) -> list[dict[str, Any]]:
        return list(self.documents[collection].values())

    async def ping(self) -> None:
        await self.faults.before("ping")

    async def apply(self, writes: Sequence[Write]) -> Outcome:
        await self.faults.before("apply")
        for write in writes:
            if (error := self.fails_with.get(repr(write.target.document_id))) is not None:
                raise error
        outcome = await tell_older_streams(self.store, writes, await apply(self.store, writes))
        await self.faults.point("after apply")
        return outcome


def _place(write: Write) -> Place:
    target = write.target
    collection = f"{target.database}/{target.collection}" if target.database else target.collection
    return collection, repr(target.document_id)


def _marked(document: dict[str, Any], mark: Mark) -> dict[str, Any]:
    deleted = _metadata(document).get("deleted", {}).get("v", "")
    if max(_version(document), deleted) >= mark.version:
        return document
    at = None if mark.at is None else datetime.fromtimestamp(mark.at / 1000, UTC).replace(tzinfo=None)
    return {**document, "_ddb": {**_metadata(document), "deleted": {"v": mark.version, "at": at}}}


def _metadata(document: dict[str, Any] | None) -> dict[str, Any]:
    metadata = (document or {}).get("_ddb")
    return metadata if isinstance(metadata, dict) else {}


def _version(document: dict[str, Any]) -> str:
    version = _metadata(document).get("v")
    return version if isinstance(version, str) else ""
