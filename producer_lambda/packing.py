"""Changes → queue messages: coalescing, lanes, byte limits, deduplication ids, order of sending. Pure.

Packing many changes into one message is the pipeline's main lever: receiving and deleting a message costs
the same whatever it carries. Within one event a put stands for the puts of its key right before it.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from producer_lambda.records import Parsed
from shared.batches import batches
from shared.change import Change
from shared.envelope import decode_change, encode_change, frame_size, seal
from shared.errors import PoisonError
from shared.keys import lane_of

TARGET_BYTES = 240 * 1024
"""Size up to which changes are packed together; a larger change travels alone. Bounds the writer's memory."""


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
    """A change that no message can carry: not Unicode, or larger than the queue's limit even if compressed.

    Attributes:
        position: as in `Message`.
    """

    position: int
    change: Change
    code: str
    reason: str


class _Encoded(NamedTuple):
    """A change as its JSON, and not as the objects that it was made of.

    Those of a whole event do not fit the processor's caches: writing down each change when it comes, and
    letting go of it, saves up to a sixth of an invocation's time.
    """

    position: int
    table: str
    stream: str
    key: bytes
    octets: bytes

    def parsed(self) -> Parsed:
        """The change again, for the few cases where it takes another look."""
        return Parsed(self.position, decode_change(self.table, self.stream, self.octets), self.key)


def _coalesce(parsed: Iterable[Parsed]) -> Iterable[Parsed | _Encoded]:
    """Lets a put stand for the puts of the same item before it, in the order of the newest ones.

    Only puts, and only those that the writer needs not see one by one, whatever its mapping says: deletes all
    travel (they may mark the document, or mean another thing if they are expiries, and what is kept is the
    image before them), and so does a put that changed one of its old values (the document may be where the
    old ones say). The names in `gone` are united, less those that came back. The result has the lowest
    position of all it stands for.
    """
    travelling: dict[int, Parsed | _Encoded] = {}
    places: dict[tuple[str, bytes], int] = {}
    for place, record in enumerate(parsed):
        item = (record.change.table, record.key)
        earlier = places.get(item)
        places[item] = place
        if earlier is None:
            travelling[place] = _encoded_if_possible(record)
            continue
        before = travelling[earlier]
        both = _swallow(before.parsed() if isinstance(before, _Encoded) else before, record)
        if both:
            del travelling[earlier]
        travelling[place] = both or record
    return travelling.values()


def _encoded_if_possible(record: Parsed) -> Parsed | _Encoded:
    try:
        return _encoded(record)
    except PoisonError:
        return record


def _encoded(record: Parsed) -> _Encoded:
    position, change, key = record
    return _Encoded(position, change.table, change.stream, key, encode_change(change))


def _swallow(first: Parsed, second: Parsed) -> Parsed | None:
    """One record that stands for both, or None if both must travel."""
    # A shard keeps the order of an item; an event that was put together by hand may not.
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
    """Whether the first of two puts changed one of its old values; those of a new item are not known."""
    old, image = earlier.old, earlier.image or {}
    if old is None:
        return False
    names = old.keys() | (later.old or {}).keys()
    # By their texts: 1 and true are equal in Python. (Maps in another order then count as moved: no harm.)
    return any((name in old, repr(old.get(name))) != (name in image, repr(image.get(name))) for name in names)


def pack(parsed: Iterable[Parsed], lanes: int, limit: int) -> tuple[list[Message], list[Unsendable]]:
    """Packs changes into messages of one lane each.

    Args:
        parsed: the changes of one event, oldest first; best made one by one as they are asked for.
        lanes: the number of lanes; 0 gives every key its own.
        limit: the queue's `MaximumMessageSize`, bytes.

    Returns:
        Messages in the order in which those of one lane must be sent, and what fits no message.
    """
    lanes_content: dict[tuple[str, str, str], list[_Encoded]] = {}
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
        lanes_content.setdefault(lane, []).append(encoded)
    messages: list[Message] = []
    for (table, stream, group), content in lanes_content.items():
        for packed in _pack_lane(table, stream, content, limit):
            message = _message(table, stream, group, packed, limit)
            if message.size > limit:
                (alone,) = packed  # several changes are only packed together where they fit
                message = _message(table, stream, group, [_without_history(alone)], limit)
            if message.size <= limit:
                messages.append(message)
                continue
            reason = f"even compressed the change makes a message of {message.size} bytes, more than {limit}"
            unsendable.append(Unsendable(message.position, alone.parsed().change, "too-large", reason))
    return messages, unsendable


def _without_history(encoded: _Encoded) -> _Encoded:
    """The change without what tells of the item before it: the item itself always fits.

    Nothing is lost but help: a value of hundreds of kilobytes is no shard key, and a merged document knows
    which of its fields are replicated.
    """
    change = encoded.parsed().change._replace(old=None, gone=frozenset())
    return encoded._replace(octets=encode_change(change))


def _pack_lane(
    table: str, stream: str, content: Sequence[_Encoded], limit: int
) -> Iterator[Sequence[_Encoded]]:
    """Cuts a lane into what travels together."""
    room = min(TARGET_BYTES, limit) - frame_size(table, stream)
    pending: list[_Encoded] = []
    used = 0
    for encoded in content:
        size = len(encoded.octets) + 1
        if pending and used + size > room:
            yield pending
            pending, used = [], 0
        pending.append(encoded)
        used += size
    yield pending


def _message(table: str, stream: str, group: str, content: Sequence[_Encoded], limit: int) -> Message:
    body = seal(table, stream, [encoded.octets for encoded in content], limit)
    octets = body.encode()
    return Message(
        position=min(encoded.position for encoded in content),
        group=group,
        deduplication_id=hashlib.sha256(octets).hexdigest(),
        body=body,
        changes=len(content),
        size=len(octets),
    )


def waves(messages: Iterable[Message], limit: int) -> list[list[list[Message]]]:
    """Orders messages for sending: waves of batches.

    A wave holds at most one message of each lane, so its batches can be sent at the same time, and a lane
    that failed can be left out of the waves that follow.

    Args:
        messages: of each lane, in order.
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
