"""Puts that a unique index refused a short while ago, and that come again. Pure.

Two items that exchange a value are mostly in two message groups, so their puts are in hand of two loops of
the writer, and never meet in a batch. So the writer remembers what was refused: if another put needs it, both
are done together, and when the message of the first comes again, its put is stale.

Law: bounded in number, size and time. What is remembered is no promise: it can be forgotten at any time.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from writer.mongodb.answers import Problem
from writer.mongodb.apply import Command, Written
from writer.ports import FailureKind
from writer.write import Place, Write, hashable

_MOST = 1_000
_BYTES = 16 * 1024 * 1024
_STRING_BYTES = 64
_SECONDS = 600
"""Much less than tombstones live: an old put that is done late must find them."""


class Refused(NamedTuple):
    """A put that a unique index refused."""

    command: Command
    problem: Problem


def refused_puts(commands: Mapping[int, Command], written: Written) -> dict[int, Refused]:
    """The refused puts that may be done together with others: of each document the newest.

    Not those with a shard key: their documents may be on several shards.
    """
    newest: dict[Hashable, int] = {}
    for index in sorted(written.conflicts.keys() & commands.keys()):
        command, failure = commands[index], written.failures.get(index)
        if failure is None or failure.kind is not FailureKind.HEALABLE:
            continue
        if not command.puts or command.write.shard or not written.conflicts[index].get("keyValue"):
            continue
        key = key_of(command)
        if key not in newest or commands[newest[key]].write.version < command.write.version:
            newest[key] = index
    return {index: Refused(commands[index], written.conflicts[index]) for index in newest.values()}


def key_of(command: Command) -> Hashable:
    """Equal for commands on the same document of a collection."""
    return hashable(command.write.target.document_id)


class Memory:
    """Remembers refused puts, of each document the newest."""

    def __init__(self) -> None:
        # The oldest first.
        self._puts: dict[tuple[Place, Hashable], tuple[Refused, float]] = {}
        self._size = 0
        self._helped: dict[tuple[Place, Hashable], tuple[Write, float]] = {}

    def remember(self, place: Place, refused: Sequence[Refused], now: float) -> None:
        """Notes puts; `now`: seconds on a monotonic clock."""
        for each in refused:
            key = place, key_of(each.command)
            known = self._puts.get(key)
            if known is not None and known[0].command.write.version > each.command.write.version:
                continue
            self.forget(*key)
            small = _needed_of(each)
            self._puts[key] = small, now
            self._size += _size(small)
        while self._puts and (len(self._puts) > _MOST or self._size > _BYTES):
            self.forget(*next(iter(self._puts)))

    def forget(self, place: Place, key: Hashable) -> None:
        """The put of this document is done, or never will be."""
        if (found := self._puts.pop((place, key), None)) is not None:
            self._size -= _size(found[0])

    def help(self, puts: Iterable[Write], now: float) -> None:
        """These are done with others, or will be in a moment: see `writer.mongodb.apply.Store.helped`."""
        for put in puts:
            key = put.target[:2], hashable(put.target.document_id)
            self._helped.pop(key, None)
            self._helped[key] = put._replace(document=None, merge=None), now
        while len(self._helped) > _MOST:
            del self._helped[next(iter(self._helped))]

    def helped(self, databases: AbstractSet[str]) -> list[Write]:
        """Those of these databases that nobody has looked at since."""
        return [put for put, _ in self._helped.values() if put.target.database in databases]

    def looked_at(self, puts: Iterable[Write]) -> None:
        """These need not be remembered any more."""
        for put in puts:
            key = put.target[:2], hashable(put.target.document_id)
            self._helped.pop(key, None)
            known = self._puts.get(key)
            if known is not None and known[0].command.write.version <= put.version:
                self.forget(*key)

    def expire(self, now: float) -> None:
        """Forgets what was refused, or done, too long ago."""
        while self._helped:
            key, (_, at) = next(iter(self._helped.items()))
            if now - at <= _SECONDS:
                break
            del self._helped[key]
        while self._puts:
            key, (_, at) = next(iter(self._puts.items()))
            if now - at <= _SECONDS:
                break
            self.forget(*key)

    def of(self, place: Place, now: float) -> Iterator[Refused]:
        """The puts of a collection that were refused in the last minutes."""
        self.expire(now)
        for key, (refused, _) in list(self._puts.items()):
            if key[0] == place:
                yield refused


def _needed_of(refused: Refused) -> Refused:
    """Without the image as Python has it, which takes many times the bytes of the document."""
    write, problem = refused.command.write, refused.problem
    change = write.change._replace(image=None, old=None, gone=frozenset())
    answer = {name: problem[name] for name in ("keyPattern", "keyValue", "hexEncoded") if name in problem}
    return Refused(refused.command._replace(write=write._replace(change=change)), answer)


def _size(refused: Refused) -> int:
    write = refused.command.write
    names = write.merge.names if write.merge is not None else ()
    value = len(repr(refused.problem["keyValue"]))
    return len(write.document or b"") + value + sum(_STRING_BYTES + len(name) for name in names)
