"""Changes → queue messages: coalescing, lanes, byte limits, deduplication ids, order of sending. Pure.

Packing many changes into one message is the pipeline's main lever: receiving and deleting a message costs
the same whatever it carries. Within one event only the newest change of a key travels.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from producer_lambda.records import Parsed
from shared.batches import batches
from shared.change import Change, Op
from shared.envelope import encode_change, frame_size, seal
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


@dataclass(frozen=True, slots=True)
class _Encoded:
    """A record's change, and its JSON."""

    record: Parsed
    octets: bytes


def coalesce(parsed: Iterable[Parsed]) -> list[Parsed]:
    """Keeps the newest change of each item, in the order of the newest ones.

    A put that swallows a creation or a deletion becomes `fresh`, and the names in `gone` are united (less
    those that came back), so that merging the one put has the outcome of applying all of them. The result
    has the lowest position of all it stands for, and the old values of the first: those are what the
    document has, which has seen none of these changes.
    """
    newest: dict[tuple[str, bytes], Parsed] = {}
    for record in parsed:
        identity = (record.change.table, record.key)
        earlier = newest.pop(identity, None)
        newest[identity] = record if earlier is None else _swallow(earlier, record)
    return list(newest.values())


def _swallow(first: Parsed, second: Parsed) -> Parsed:
    # A shard keeps the order of an item; an event that was put together by hand may not.
    if first.change.version > second.change.version:
        first, second = second, first
    earlier, later = first.change, second.change
    later = replace(later, old=earlier.old, tagged=later.tagged or (bool(earlier.old) and earlier.tagged))
    if later.image is not None:
        later = replace(
            later,
            fresh=earlier.fresh or earlier.op is Op.DELETE or first.created,
            gone=(earlier.gone | later.gone) - later.image.keys(),
        )
    return Parsed(
        position=min(first.position, second.position),
        change=later,
        key=second.key,
        created=first.created or second.created,
    )


def pack(parsed: Iterable[Parsed], lanes: int, limit: int) -> tuple[list[Message], list[Unsendable]]:
    """Packs changes into messages of one lane each.

    Args:
        parsed: the changes of one event, oldest first.
        lanes: the number of lanes; 0 gives every key its own.
        limit: the queue's `MaximumMessageSize`, bytes.

    Returns:
        Messages in the order in which those of one lane must be sent, and what fits no message.
    """
    lanes_content: dict[tuple[str, str, str], list[_Encoded]] = {}
    unsendable: list[Unsendable] = []
    for record in coalesce(parsed):
        change = record.change
        try:
            octets = encode_change(change)
        except PoisonError as error:
            unsendable.append(Unsendable(record.position, change, error.code, error.reason))
            continue
        lane = (change.table, change.stream, lane_of(change.table, record.key, lanes))
        lanes_content.setdefault(lane, []).append(_Encoded(record, octets))
    messages: list[Message] = []
    for (table, stream, group), content in lanes_content.items():
        for packed in _pack_lane(table, stream, content, limit):
            message = _message(table, stream, group, packed, limit)
            if message.size <= limit:
                messages.append(message)
                continue
            (alone,) = packed  # several changes are only packed together where they fit
            reason = f"even compressed the change makes a message of {message.size} bytes, more than {limit}"
            unsendable.append(Unsendable(message.position, alone.record.change, "too-large", reason))
    return messages, unsendable


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
        position=min(encoded.record.position for encoded in content),
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
