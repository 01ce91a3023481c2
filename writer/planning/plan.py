"""Messages → plan: at most one write per document; what can never be applied is data, to be parked. Pure.

One write has the outcome of all changes of a document (`writer.planning.fold`), so the writes of a plan may
be done in any order. A change that cannot become a document goes to the dead-letter queue alone. If MongoDB
refuses a write, the next plan has a write for each of its changes, newest first.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from shared.change import Change, Op
from shared.dead_letter import DeadLetter, as_it_came
from shared.envelope import Envelope, Rejected, decode, encode_change, seal
from shared.errors import PoisonError
from shared.keys import canonical_key
from shared.version import check_time
from writer.mapping.document import locate
from writer.mapping.rules import Rules
from writer.planning.fold import Candidates, Refusals, apart, can_stand_apart, fold
from writer.ports import Message
from writer.write import Identity, Write


@dataclass(frozen=True, slots=True)
class Poison:
    """Something to park.

    Attributes:
        message: index of the message it came from.
        op: of the change; None: not known.
    """

    message: int
    letter: DeadLetter
    op: Op | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do with a batch of messages.

    Attributes:
        changes: how many changes the messages carried, poison included.
        coalesced_of: by table, operation and index of the message, how many changes need no write of their
            own: another change of the same document stands for them, or they are deletions that the mapping
            does not replicate.
        oldest: creation time of the oldest change, milliseconds since the epoch; None: not known.
    """

    messages: Sequence[Message]
    writes: Sequence[Write]
    poison: Sequence[Poison]
    changes: int
    coalesced_of: Mapping[tuple[str, Op, int], int]
    oldest: int | None

    @property
    def coalesced(self) -> int:
        """How many changes need no write of their own."""
        return sum(self.coalesced_of.values())


def make_plan(
    messages: Sequence[Message],
    rules: Rules,
    park_limit: int,
    refusals: Refusals = MappingProxyType({}),
) -> Plan:
    """Plans a batch.

    Args:
        messages: as received; within a group oldest first.
        rules: of all tables.
        park_limit: bytes that a parked message may have.
        refusals: what MongoDB refused of an earlier plan of these messages; poison here.
    """
    documents: dict[Identity, Candidates] = {}
    poison: list[Poison] = []
    count = 0
    oldest: int | None = None
    for index, message in enumerate(messages):
        try:
            envelope = decode(message.body)
        except PoisonError as error:
            poison.append(Poison(index, _letter(message, as_it_came(message.body, park_limit), error)))
            count += 1
            continue
        entries, impossible = envelope.entries, _impossible(envelope, message)
        count += len(entries)
        oldest = _older(oldest, entries)
        for entry in entries:
            if not isinstance(entry, Change):
                body = seal(entry.table, entry.stream, [entry.encoded], park_limit)
                poison.append(Poison(index, _letter(message, body, entry, table=entry.table)))
                continue
            if impossible is not None:
                poison.append(
                    Poison(index, letter_of_change(message, entry, impossible, park_limit), entry.op)
                )
                continue
            try:
                table = rules.table(entry.table)
                target = locate(table, entry)
            except PoisonError as error:
                poison.append(Poison(index, letter_of_change(message, entry, error, park_limit), entry.op))
                continue
            candidates = documents.get(target.identity)
            if candidates is None:
                documents[target.identity] = Candidates(table, target, [(entry, index)])
            else:
                candidates.changes.append((entry, index))
    writes, coalesced = _fold_all(messages, documents, refusals, park_limit, poison)
    return Plan(messages, writes, poison, count, coalesced, oldest)


def _fold_all(
    messages: Sequence[Message],
    documents: Mapping[Identity, Candidates],
    refusals: Refusals,
    park_limit: int,
    poison: list[Poison],
) -> tuple[list[Write], Mapping[tuple[str, Op, int], int]]:
    """The writes, and what they stand for; adds to `poison` what cannot be written."""
    writes: list[Write] = []
    coalesced: Counter[tuple[str, Op, int]] = Counter()
    refused = {identity for identity, _ in refusals}
    for identity, candidates in documents.items():
        several: Sequence[Write]
        if identity in refused and can_stand_apart(candidates.table):
            several, unfit = apart(candidates, refusals)
        else:
            write, unfit = fold(candidates, refusals)
            several = () if write is None else (write,)
        writes += several
        poison.extend(
            Poison(index, letter_of_change(messages[index], change, error, park_limit), change.op)
            for change, index, error in unfit
        )
        if several and len(candidates.changes) == 1:
            continue
        for change, index in candidates.changes:
            coalesced[change.table, change.op, index] += 1
        for change, index, _ in unfit:
            coalesced[change.table, change.op, index] -= 1
        for write in several:
            coalesced[write.change.table, write.change.op, write.message] -= 1
    return writes, +coalesced


def _impossible(envelope: Envelope, message: Message) -> PoisonError | None:
    """Why no change of this message can have its version; None: they can.

    A message is sent after its stream was made. SQS notes when it was sent: neither the sender nor the clock
    of this machine has a part in it.
    """
    try:
        check_time(envelope.stream, message.sent_at / 1000)
    except PoisonError as error:
        return error
    return None


def _older(than: int | None, entries: Sequence[Change | Rejected]) -> int | None:
    """The older of a time and that of an envelope, whose oldest change comes first; some have no time."""
    at = next((entry.at for entry in entries if isinstance(entry, Change) and entry.at is not None), than)
    return at if than is None or at is None else min(than, at)


def letter_of_change(message: Message, change: Change, error: PoisonError, park_limit: int) -> DeadLetter:
    """The dead letter of one change: an envelope with only that change, ready to be sent again."""
    try:
        body = seal(change.table, change.stream, [encode_change(change)], park_limit)
        key, sequence = canonical_key(change.key).decode(), change.sequence
    except PoisonError:
        # Nested too deep to be written as JSON: park the message that holds it, once for all such changes.
        body, key, sequence = as_it_came(message.body, park_limit), "", ""
    known = {"table": change.table, "key": key, "sequence": sequence, "event_id": change.event_id}
    return _letter(message, body, error, **known)


def _letter(message: Message, body: str, cause: PoisonError | Rejected, **known: str) -> DeadLetter:
    return DeadLetter(body, message.group, cause.code, cause.reason, message_id=message.id, **known)
