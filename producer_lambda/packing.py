"""Changes → queue messages: coalescing, lanes, byte limits, deduplication ids, order of sending. Pure.

Many changes in one message are what makes the pipeline cheap: receiving and deleting a message costs the same
whatever it carries. Within one event a put stands for the puts of its key right before it.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from producer_lambda.records import Parsed
from shared.batches import batches
from shared.change import Change
from shared.envelope import decode_change, encode_change, frame_size, seal
from shared.errors import PoisonError
from shared.keys import lane_of

TARGET_BYTES = 240 * 1024
"""Changes are packed together up to this size; a larger one travels alone. Bounds the writer's memory."""


@dataclass(frozen=True, slots=True)
class Message:
    """One queue message.

    Attributes:
        position: lowest index of a record it stands for, coalesced ones included.
        changes: how many changes it carries.
        size: bytes of the body.
    """

    position: int
    group: str
    deduplication_id: str
    body: str
    changes: int
    size: int


@dataclass(frozen=True, slots=True)
class Unsendable:
    """A change that no message can carry: not Unicode, or too large for the queue even if compressed."""

    position: int
    change: Change
    code: str
    reason: str


class _Encoded(NamedTuple):
    """A change as JSON, without the objects it was made of.

    The objects of a whole event do not fit the processor's caches: to encode each change when it comes, and
    let go of it, saves up to a sixth of an invocation's time.
    """

    position: int
    table: str
    stream: str
    key: bytes
    json: bytes

    def parsed(self) -> Parsed:
        """The change again, for the few cases that need it."""
        return Parsed(self.position, decode_change(self.table, self.stream, self.json), self.key)


def _coalesce(parsed: Iterable[Parsed]) -> Iterable[Parsed | _Encoded]:
    """Lets a put stand for the puts of the same item before it, in the order of the newest ones.

    The producer does not know the mapping, so everything travels that some mapping needs to see: each delete
    (it may mark the document or keep its last image, and an expiry may mean something else), and each put
    that changed one of its old values (the document may be where the old ones say). Of the puts that become
    one, the names in `gone` are united, without those that came back, and the lowest position counts.
    """
    travelling: dict[int, Parsed | _Encoded] = {}
    places: dict[tuple[str, bytes], int] = {}
    for place, record in enumerate(parsed):
        item = (record.change.table, record.key)
        earlier = places.get(item)
        places[item] = place
        if earlier is None:
            try:
                travelling[place] = _encoded(record)
            except PoisonError:  # a later put may stand for it
                travelling[place] = record
            continue
        before = travelling[earlier]
        both = _swallow(before.parsed() if isinstance(before, _Encoded) else before, record)
        if both:
            del travelling[earlier]
        travelling[place] = both or record
    return travelling.values()


def _encoded(record: Parsed) -> _Encoded:
    position, change, key = record
    return _Encoded(position, change.table, change.stream, key, encode_change(change))


def _swallow(first: Parsed, second: Parsed) -> Parsed | None:
    """One record that stands for both, or None if both must travel."""
    # A shard keeps the order of an item's changes; an event made by hand may not.
    if first.change.version > second.change.version:
        first, second = second, first
    earlier, later = first.change, second.change
    if earlier.image is None or later.image is None or _moves(earlier, later):
        return None
    return Parsed(
        position=min(first.position, second.position),
        change=later._replace(gone=(earlier.gone | later.gone) - later.image.keys()),
        key=second.key,
    )


def _moves(earlier: Change, later: Change) -> bool:
    """Whether the earlier of two puts changed one of its old values; a new item's are not known."""
    old, image = earlier.old, earlier.image or {}
    if old is None:
        return False
    names = old.keys() | (later.old or {}).keys()
    # Compared as texts, because 1 equals True in Python. (A map in another order counts as moved: no harm.)
    return any((name in old, repr(old.get(name))) != (name in image, repr(image.get(name))) for name in names)


def pack(parsed: Iterable[Parsed], lanes: int, limit: int) -> tuple[list[Message], list[Unsendable]]:
    """Packs changes into messages of one lane each.

    Args:
        parsed: the changes of one event, oldest first; best a generator, which keeps few in memory.
        lanes: the number of lanes; 0: each key has its own.
        limit: the queue's `MaximumMessageSize`, bytes.

    Returns:
        Messages in the order in which those of one lane must be sent, and the changes that fit no message.
    """
    messages: list[Message] = []
    contents, unsendable = _contents_of_lanes(parsed, lanes)
    for (table, stream, group), content in contents.items():
        for packed in _pack_lane(table, stream, content, limit):
            message = _message(table, stream, group, packed, limit)
            if message.size > limit:
                (alone,) = packed  # several changes are packed together only if they fit
                message = _message(table, stream, group, [_without_history(alone)], limit)
            if message.size <= limit:
                messages.append(message)
                continue
            reason = f"even compressed, the change makes a message of {message.size} bytes, more than {limit}"
            unsendable.append(Unsendable(message.position, alone.parsed().change, "too-large", reason))
    return messages, unsendable


def _contents_of_lanes(
    parsed: Iterable[Parsed], lanes: int
) -> tuple[Mapping[tuple[str, str, str], Sequence[_Encoded]], list[Unsendable]]:
    """The changes by table, stream and lane, and those that cannot be encoded."""
    contents: dict[tuple[str, str, str], list[_Encoded]] = {}
    unsendable: list[Unsendable] = []
    for record in _coalesce(parsed):
        if isinstance(record, Parsed):
            try:
                encoded = _encoded(record)
            except PoisonError as error:
                unsendable.append(Unsendable(record.position, record.change, error.code, error.reason))
                continue
        else:
            encoded = record
        lane = (encoded.table, encoded.stream, lane_of(encoded.table, encoded.key, lanes))
        contents.setdefault(lane, []).append(encoded)
    return contents, unsendable


def _without_history(encoded: _Encoded) -> _Encoded:
    """The change without what it says about the item before: the item itself always fits.

    Nothing is lost that the writer needs: a value of hundreds of kilobytes is no shard key, and a merged
    document knows which of its fields are replicated.
    """
    change = encoded.parsed().change._replace(old=None, gone=frozenset())
    return encoded._replace(json=encode_change(change))


def _pack_lane(
    table: str, stream: str, content: Sequence[_Encoded], limit: int
) -> Iterator[Sequence[_Encoded]]:
    """Cuts a lane into the contents of messages."""
    room = min(TARGET_BYTES, limit) - frame_size(table, stream)
    pending: list[_Encoded] = []
    used = 0
    for encoded in content:
        size = len(encoded.json) + 1
        if pending and used + size > room:
            yield pending
            pending, used = [], 0
        pending.append(encoded)
        used += size
    yield pending


def _message(table: str, stream: str, group: str, content: Sequence[_Encoded], limit: int) -> Message:
    body = seal(table, stream, [encoded.json for encoded in content], limit)
    encoded_body = body.encode()
    return Message(
        position=min(encoded.position for encoded in content),
        group=group,
        deduplication_id=hashlib.sha256(encoded_body).hexdigest(),
        body=body,
        changes=len(content),
        size=len(encoded_body),
    )


def waves(messages: Iterable[Message], limit: int) -> list[list[list[Message]]]:
    """Orders messages for sending: waves of batches.

    A wave has at most one message of each lane, so its batches can be sent at the same time, and later waves
    can leave out a lane that failed.

    Args:
        messages: in order within each lane.
        limit: bytes that one batch call may carry.
    """
    by_wave: list[list[Message]] = []
    seen: dict[str, int] = {}
    for message in messages:
        wave = seen.get(message.group, 0)
        seen[message.group] = wave + 1
        if wave == len(by_wave):
            by_wave.append([])
        by_wave[wave].append(message)
    return [list(batches(wave, lambda message: message.size, limit)) for wave in by_wave]
