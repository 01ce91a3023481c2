"""Which shards of a stream may be read next: a child after its parent, each shard once. Pure.

Law: only a complete listing of the stream says that a shard is not there. A parent that is neither listed nor
known is trimmed, so its children are free.

Source: Amazon DynamoDB developer guide, "Change data capture for DynamoDB Streams" (shards end and split by
themselves, and a parent is processed before its children; records are kept for 24 hours); API reference,
``Shard`` and ``SequenceNumberRange``.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple


class Shard(NamedTuple):
    """A shard as a listing has it.

    Attributes:
        parent: the shard that it came from; None: none, or it is trimmed.
        closed: it gets no more records.
    """

    id: str
    parent: str | None
    closed: bool


class Position(NamedTuple):
    """How far a shard is read and durable.

    Attributes:
        after: the sequence number of the last record; empty: nothing of it.
        done: all of it.
    """

    after: str = ""
    done: bool = False


class Listed(NamedTuple):
    """What a listing says of the shards that were known.

    Attributes:
        lost: shards that are trimmed and were not read to their end: a gap.
        forgotten: shards that are trimmed and were read to their end.
        new: shards that nobody knew of.
    """

    lost: Sequence[str]
    forgotten: Sequence[str]
    new: Sequence[str]


class _State(Enum):
    WAITING = "waiting"
    READING = "reading"
    ENDED = "ended"


@dataclass(slots=True)
class _Known:
    parent: str | None
    state: _State
    closed: bool = False
    listed: bool = False


class Lineage:
    """The shards of one stream, as far as they are known."""

    def __init__(self, positions: Mapping[str, Position]) -> None:
        """Begins with the shards that were read before."""
        self._known = {
            shard: _Known(None, _State.ENDED if position.done else _State.WAITING)
            for shard, position in positions.items()
        }

    def listing(self, shards: Iterable[Shard]) -> Listed:
        """Takes in a complete listing of the stream."""
        before = frozenset(self._known)
        for each in self._known.values():
            each.listed = False
        for shard in shards:
            known = self._known.setdefault(shard.id, _Known(shard.parent, _State.WAITING))
            known.listed, known.closed = True, known.closed or shard.closed
            known.parent = shard.parent
        gone = {shard: each.state for shard, each in self._known.items() if not each.listed}
        lost = [shard for shard, state in gone.items() if state is _State.WAITING]
        forgotten = [shard for shard, state in gone.items() if state is _State.ENDED]
        for name in (*lost, *forgotten):
            del self._known[name]
        return Listed(lost, forgotten, [name for name in self._known if name not in before])

    def begin(self) -> Sequence[str]:
        """The shards that may be read now and are not, yet. From now on they are being read."""
        ready = [
            shard
            for shard, each in self._known.items()
            if each.state is _State.WAITING and each.listed and self._is_free(each)
        ]
        for shard in ready:
            self._known[shard].state = _State.READING
        return ready

    def end(self, shard: str) -> None:
        """A shard is read to its end."""
        self._known[shard].state = _State.ENDED

    def may_end(self, shard: str) -> bool:
        """Whether the last listing allows that there are no more records: it is closed, or trimmed."""
        known = self._known[shard]
        return known.closed or not known.listed

    def is_listed(self, shard: str) -> bool:
        """Whether the last listing has a shard."""
        known = self._known.get(shard)
        return known is not None and known.listed

    @property
    def reading(self) -> frozenset[str]:
        """The shards that are being read."""
        return self._in(_State.READING)

    @property
    def waiting(self) -> frozenset[str]:
        """The shards that are not begun."""
        return self._in(_State.WAITING)

    @property
    def is_stuck(self) -> bool:
        """Whether shards wait for each other, which no stream does: the listing is odd."""
        waiting = [each for each in self._known.values() if each.state is _State.WAITING]
        return bool(waiting) and not self.reading and not any(map(self._is_free, waiting))

    def _in(self, state: _State) -> frozenset[str]:
        return frozenset(shard for shard, each in self._known.items() if each.state is state)

    def _is_free(self, each: _Known) -> bool:
        parent = None if each.parent is None else self._known.get(each.parent)
        return parent is None or parent.state is _State.ENDED
