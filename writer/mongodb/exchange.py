"""Writes of one collection that block each other by a unique index, done together in a transaction.

Items can exchange a unique value in one moment. Written one after the other, their documents never get there:
each write wants what the other document still has. If all of these writes are in hand, a transaction takes
the old documents away and inserts the new ones. The guarded put's own pipeline makes the new ones, so the
guard, `merge` and marks are the same; what is newer is left alone. See
docs/decisions/0022-exchanging-unique-values.md.

Law: what cannot be done, or not now, stays refused as it was, and is tried again later. Nothing is half done.
"""

from asyncio import CancelledError, ensure_future, shield, wait
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from pymongo.errors import ExecutionTimeout, OperationFailure
from pymongo.read_concern import ReadConcern

from writer.mongodb.answers import Kind, Operation, Problem
from writer.mongodb.apply import Command, Written
from writer.mongodb.blocking import groups
from writer.mongodb.bulk import perform
from writer.mongodb.driver import Collection, Session, ready
from writer.mongodb.driver_errors import concerns_server
from writer.mongodb.error_codes import Meaning
from writer.mongodb.refused import Refused, key_of, refused_puts
from writer.mongodb.sending import guarded, raise_problem, send, update_of
from writer.mongodb.stored import RAW
from writer.mongodb.stored import key_of as stored_key
from writer.write import Place, Write

_MOST_TOGETHER = 1_000
"""Documents in a transaction, as MongoDB recommends."""

_FAILED_ATTEMPTS = 20
"""Transactions of one call that may come to nothing."""

Helps = Callable[[Sequence[Write]], None]

_LOOK_MS, _COMMIT_MS = 2_000, 20_000


async def exchange(  # noqa: PLR0913, PLR0917 - the state of one call
    collection: Collection,
    place: Place,
    commands: Mapping[int, Command],
    written: Written,
    earlier: Iterable[Refused],
    helps: Helps,
) -> None:
    """Does what can be done together of the puts that a unique index refused.

    Args:
        collection: majority write concern, primary.
        place: of the collection.
        commands: those of this collection, by their index in the batch.
        written: what became of them; those that are done now are no failures any more. Documents that were
            there, and are others now, are among the suspects: a deletion may have missed them.
        earlier: puts that were refused earlier, and have no newer tombstone; they are done if others need it.
        helps: is told of those of `earlier` that will be done in a moment, unless something comes in between.
            They are suspects, too.

    Raises:
        PyMongoError: it concerns the server; perform all commands again.
    """
    refused = refused_puts(commands, written)
    if not refused:
        return
    mine = {key_of(each.command) for each in refused.values()}
    others = [each for each in earlier if key_of(each.command) not in mine]
    # They have no index in the batch.
    named = refused | {-number: each for number, each in enumerate(others, 1)}
    made = _Exchange(collection, place, written, named, helps)
    await made.run({index: commands[index] for index in refused})


class _Done(NamedTuple):
    """What a transaction did, by the index of the command."""

    inserted: set[int]
    modified: set[int]
    unchanged: set[int]


class _RefusedError(Exception):
    """A unique index refused one document of a transaction."""

    def __init__(self, index: int, problem: Problem) -> None:
        super().__init__()
        self.index, self.problem = index, problem


@dataclass(slots=True)
class _Exchange:
    """One call of `exchange`.

    Attributes:
        refused: the writes; those below 0 were refused earlier, and join only if others need them.
        by_id: the same writes, by their documents.
        needs: by write, the other writes whose documents have what it wants.
        blocked: writes that cannot be done now.
        unknown: writes of which nobody knows what they need.
        collated: the patterns of indexes that hold something else than values, for a collation; None: not
            known yet.
    """

    collection: Collection
    place: Place
    written: Written
    refused: Mapping[int, Refused]
    helps: Helps
    by_id: dict[Hashable, int] = field(default_factory=dict)
    needs: dict[int, set[int]] = field(default_factory=dict)
    blocked: set[int] = field(default_factory=set)
    unknown: set[int] = field(default_factory=set)
    done: set[int] = field(default_factory=set)
    collated: frozenset[Hashable] | None = None

    async def run(self, commands: Mapping[int, Command]) -> None:
        self.by_id = {key_of(each.command): index for index, each in self.refused.items()}
        self.needs = {index: set() for index in commands}
        for index in commands:
            await self._look(index, self.refused[index].problem)
        await self._repeat_what_is_free()
        attempts = _FAILED_ATTEMPTS
        while attempts and (found := groups(self.needs, self.blocked, self.unknown)):
            group = found[0]
            if len(group) > _MOST_TOGETHER:
                self.blocked.update(group)
                continue
            try:
                self._note(await self._do(group))
            except _RefusedError as error:
                attempts -= 1
                await self._learn(group, error)
            except OperationFailure as error:
                attempts -= 1
                if error.has_error_label("TransientTransactionError"):
                    continue  # another writer changed one of the documents
                if concerns_server(error) or error.has_error_label("UnknownTransactionCommitResult"):
                    raise  # perhaps it is done: all again, and the guard recognises it
                self.blocked.update(group)

    async def _look(self, index: int, problem: Problem) -> None:
        """Looks whose document has the value that a write wants, and what that document's write wants."""
        todo = [(index, problem)]
        while todo:
            index, problem = todo.pop()
            holders = await self._holders(problem)
            if holders is None:
                self.unknown.add(index)
                hidden = {each for each, refused in self.refused.items() if self._is_hidden(refused.problem)}
                found = {each for each in hidden if self._may_help(each)}
            else:
                others = [key for key in holders if self.by_id.get(key) != index]
                found = {self.by_id[key] for key in others if self._may_help(self.by_id.get(key))}
                self.needs[index] |= found
                if others and not found:
                    self.blocked.add(index)
            for joins in found - self.needs.keys():
                self.needs[joins] = set()
                todo.append((joins, self.refused[joins].problem))

    def _may_help(self, index: int | None) -> bool:
        return index is not None and (index in self.needs or (index < 0 and index not in self.done))

    async def _holders(self, problem: Problem) -> list[Hashable] | None:
        """The documents with the value that was refused; None: nobody knows."""
        if self._is_hidden(problem):
            return None
        query = {path: {"$eq": value} for path, value in problem["keyValue"].items()}
        hint = list(problem["keyPattern"].items())
        raw = self.collection.with_options(codec_options=RAW)
        holders = raw.find(query, {"_id": 1}).hint(hint).max_time_ms(_LOOK_MS)
        try:
            found = [stored_key(found) for found in await holders.to_list(None)]
            if found or self.collated is not None:
                return found
            # Only from 6.0 on does the server say that its answer has not the value itself.
            self.collated = await _collated(self.collection)
            return None if self._is_hidden(problem) else found
        except (BSONError, UnicodeError):  # the value is an application's, and cannot be sent as it was read
            return None
        except OperationFailure as error:  # such as two indexes of this pattern
            if concerns_server(error) and not isinstance(error, ExecutionTimeout):
                raise
            return None

    def _is_hidden(self, problem: Problem) -> bool:
        """Whether the index holds something else than the value, for a collation."""
        pattern = tuple(problem["keyPattern"].items())
        return any(problem.get("hexEncoded", ())) or pattern in (self.collated or ())

    async def _repeat_what_is_free(self) -> None:
        """Writes whose value is free by now, such as that of a deleted item: no transaction."""
        alone = [group[0] for group in groups(self.needs, self.blocked, self.unknown) if len(group) == 1]
        free = {i: self.refused[i].command for i in alone if i >= 0 and i not in self.unknown}
        if free:
            for index in free:
                del self.written.failures[index], self.needs[index]
            await perform(self.collection, self.place, free, self.written)

    async def _learn(self, group: Sequence[int], error: _RefusedError) -> None:
        """Another index refused a write: one more joins the group, or this one cannot be done."""
        known = set(self.needs[error.index])
        self.unknown.discard(error.index)
        await self._look(error.index, error.problem)
        if error.index in self.unknown or self.needs[error.index] <= known | set(group):
            self.unknown.discard(error.index)
            self.blocked.add(error.index)

    def _note(self, done: _Done) -> None:
        written = self.written
        for index in (*done.inserted, *done.modified, *done.unchanged):
            del self.needs[index]
            self.done.add(index)
            if index < 0:
                continue
            del written.failures[index]
            if index in done.inserted:
                written.inserted.add(index)
            elif index in done.modified:
                written.suspects.add(index)
                written.modified += 1
            else:
                written.unchanged[self.place] += 1

    async def _do(self, group: Sequence[int]) -> _Done:
        """One transaction with the writes of a group.

        Raises:
            _RefusedError: a unique index refused one of them; nothing was done.
            OperationFailure: nothing was done, unless its label says that this is not known.
        """
        client = self.collection.database.client
        async with await ready(client.start_session()) as session:
            options = {
                "read_concern": ReadConcern("snapshot"),
                "write_concern": self.collection.write_concern,
                "max_commit_time_ms": _COMMIT_MS,
            }
            async with await ready(session.start_transaction(**options)):
                done = await self._write(group, session)
                # Before the commit: its answer may get lost.
                self.helps([self.refused[index].command.write for index in group if index < 0])
                return done

    async def _write(self, group: Sequence[int], session: Session) -> _Done:
        done = _Done(set(), set(), set())
        raw = self.collection.with_options(codec_options=RAW)
        # A document that is changed by somebody else after it was read here makes the transaction fail.
        removals: list[Operation] = []
        insertions: dict[int, Operation] = {}
        updates: dict[int, Operation] = {}
        for index in group:
            command = self.refused[index].command
            where = {"_id": {"$eq": command.write.target.document_id}}
            before = await raw.find_one(where, session=session)
            if before is None:
                updates[index] = update_of(command)
                done.inserted.add(index)
                continue
            made = guarded(command)
            constants = {name: {"$literal": value} for name, value in made.constants.items()}
            stages = [{"$match": where}, *made.stages]
            found = await ready(raw.aggregate(stages, let=constants, session=session))
            (after,) = await found.to_list(None)
            if after.raw == before.raw:
                done.unchanged.add(index)
                continue
            removals.append({"q": where | _unchanged(command, before), "limit": 1})
            insertions[index] = after
            done.modified.add(index)
        if removals or updates:
            await _to_its_end(self._send(removals, insertions, updates, session))
        return done

    async def _send(
        self,
        removals: Sequence[Operation],
        insertions: Mapping[int, Operation],
        updates: Mapping[int, Operation],
        session: Session,
    ) -> None:
        """Takes the old documents away, then writes the new ones."""
        if removals:
            raise_problem(await send(self.collection, "delete", removals, session))
        kinds: dict[Kind, Mapping[int, Operation]] = {"insert": insertions, "update": updates}
        for kind, operations in kinds.items():
            if not operations:
                continue
            answer = await send(self.collection, kind, list(operations.values()), session)
            for position, problem in answer.problems.items():
                refusal = answer.refusals[position]
                is_duplicate = refusal.meaning is Meaning.DUPLICATE and "keyValue" in problem
                if is_duplicate and refusal.unique != ("_id",):
                    raise _RefusedError(list(operations)[position], problem)
            raise_problem(answer)


async def _to_its_end(call: Awaitable[Any]) -> None:
    """Awaits what a thread of the driver does, cancelled or not: it cannot be called back.

    If the transaction ended before, the driver would send the rest outside of it.
    """
    answer = ensure_future(call)
    try:
        await shield(answer)
    except CancelledError:
        while not answer.done():
            with suppress(CancelledError):
                await wait([answer])
        raise


def _unchanged(command: Command, before: RawBSONDocument) -> dict[str, Any]:
    """Matches the document as it was read, as far as replication goes. In a transaction it always does."""
    field = command.write.target.metadata_field
    metadata = before.get(field)
    if isinstance(metadata, RawBSONDocument):
        return {field: {"$eq": metadata}}
    return {f"{field}.v": {"$exists": False}}


async def _collated(collection: Collection) -> frozenset[Hashable]:
    indexes = await (await ready(collection.list_indexes())).to_list(None)
    return frozenset(tuple(index["key"].items()) for index in indexes if "collation" in index)
