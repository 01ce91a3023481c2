"""Messages → plan: at most one write per document, and what can never be applied as data. Pure.

Of several changes of one document only the newest is written; a change that cannot become a document gives
way to the next older one, and goes to the dead-letter queue alone. No document occurs twice in a plan, so
its writes may be done in any order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from shared.change import Change, Op
from shared.dead_letter import DeadLetter, as_it_came
from shared.envelope import decode, encode_change, seal
from shared.errors import PoisonError
from shared.keys import canonical_key
from writer.mapping import document_of, locate
from writer.write import Identity, Write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.envelope import Rejected
    from writer.mapping import Replication, Target
    from writer.ports import Message


Refusals = Mapping[tuple[Identity, str], PoisonError]
"""Changes, by document and version, that MongoDB refused for good."""


@dataclass(frozen=True, slots=True)
class Poison:
    """Something to park; `message` is the index of the message it came from."""

    message: int
    letter: DeadLetter


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do with a batch of messages.

    Attributes:
        changes: how many changes the messages carried, poison included.
        coalesced: how many of them a newer change of the same document stands for.
    """

    messages: Sequence[Message]
    writes: Sequence[Write]
    poison: Sequence[Poison]
    changes: int
    coalesced: int


@dataclass(slots=True)
class _Candidates:
    """The changes of one document, each with the index of its message."""

    target: Target
    changes: list[tuple[Change, int]] = field(default_factory=list)


def make_plan(
    messages: Sequence[Message],
    replication: Replication,
    park_limit: int,
    refusals: Refusals = MappingProxyType({}),
) -> Plan:
    """Plans a batch.

    Args:
        messages: as received; within a group oldest first.
        replication: the mapping.
        park_limit: bytes that a parked message may have.
        refusals: what an earlier plan of these messages brought to light; poison here.
    """
    documents: dict[tuple[str, bytes], _Candidates] = {}
    poison: list[Poison] = []
    count = 0
    for index, message in enumerate(messages):
        try:
            envelope = decode(message.body)
        except PoisonError as error:
            poison.append(Poison(index, _letter_of_message(message, error, park_limit)))
            count += 1
            continue
        count += len(envelope.entries)
        for entry in envelope.entries:
            if not isinstance(entry, Change):
                poison.append(Poison(index, _letter_of_rejected(message, entry, park_limit)))
                continue
            try:
                target = locate(replication, entry)
            except PoisonError as error:
                poison.append(Poison(index, letter_of_change(message, entry, error, park_limit)))
                continue
            candidates = documents.setdefault(target.identity, _Candidates(target))
            candidates.changes.append((entry, index))
    writes = []
    for candidates in documents.values():
        write, unfit = _newest_fit(replication, candidates, refusals)
        poison.extend(
            Poison(index, letter_of_change(messages[index], change, error, park_limit))
            for change, index, error in unfit
        )
        if write is not None:
            writes.append(write)
    return Plan(messages, writes, poison, count, count - len(writes) - len(poison))


def _newest_fit(
    replication: Replication, candidates: _Candidates, refusals: Refusals
) -> tuple[Write | None, list[tuple[Change, int, PoisonError]]]:
    """The write of the newest change that can be applied, and the newer ones that cannot."""
    unfit: list[tuple[Change, int, PoisonError]] = []
    changes = candidates.changes
    if len(changes) > 1:
        changes = sorted(changes, key=lambda pair: pair[0].version)
    for position in range(len(changes) - 1, -1, -1):
        change, index = changes[position]
        if unfit and change.version == unfit[-1][0].version:
            continue  # the same change once more: parked already
        refusal = refusals.get((candidates.target.identity, change.version)) if refusals else None
        try:
            if refusal is not None:
                raise refusal
            document = document_of(replication, change, candidates.target) if change.op is Op.PUT else None
        except PoisonError as error:
            unfit.append((change, index, error))
            continue
        write = Write(
            collection=candidates.target.collection,
            document_id=candidates.target.document_id,
            version=change.version,
            document=document,
            change=change,
            identity=candidates.target.identity,
            message=index,
            messages=frozenset(source for _, source in changes[: position + 1]),
            changes=position + 1,
        )
        return write, unfit
    return None, unfit


def letter_of_change(message: Message, change: Change, error: PoisonError, park_limit: int) -> DeadLetter:
    """The dead letter of one change: an envelope with it alone, ready to be sent again."""
    try:
        body = seal(change.table, change.stream, [encode_change(change)], park_limit)
        key = canonical_key(change.key).decode()
    except PoisonError:  # nested deeper than JSON is written: keep the message that holds it
        body, key = as_it_came(message.body, park_limit), ""
    return DeadLetter(
        body=body,
        group=message.group,
        code=error.code,
        reason=error.reason,
        table=change.table,
        key=key,
        sequence=change.sequence,
        message_id=message.id,
    )


def _letter_of_rejected(message: Message, rejected: Rejected, park_limit: int) -> DeadLetter:
    return DeadLetter(
        body=seal(rejected.table, rejected.stream, [rejected.encoded], park_limit),
        group=message.group,
        code=rejected.code,
        reason=rejected.reason,
        table=rejected.table,
        message_id=message.id,
    )


def _letter_of_message(message: Message, error: PoisonError, park_limit: int) -> DeadLetter:
    return DeadLetter(
        body=as_it_came(message.body, park_limit),
        group=message.group,
        code=error.code,
        reason=error.reason,
        message_id=message.id,
    )
