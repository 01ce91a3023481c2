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
from writer.planning.fold import Candidates, Refusals, apart, can_stand_apart, fold, lone_write
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
    batch = _Batch(messages, rules, park_limit, refusals)
    count = 0
    oldest: int | None = None
    for index, message in enumerate(messages):
        try:
            envelope = decode(message.body)
        except PoisonError as error:
            letter = _letter(message, as_it_came(message.body, park_limit), error)
            batch.poison.append(Poison(index, letter))
            count += 1
            continue
        count += len(envelope.entries)
        oldest = _older(oldest, envelope.entries)
        batch.take(index, envelope)
    writes, coalesced = batch.fold()
    return Plan(messages, writes, batch.poison, count, coalesced, oldest)


class _Batch:
    """The changes of a batch by document.

    A change that is the first of its document nearly always stays the only one, so its write is made at once,
    while the processor's caches still hold the image. If another one comes, both are candidates.
    """

    def __init__(
        self, messages: Sequence[Message], rules: Rules, park_limit: int, refusals: Refusals
    ) -> None:
        self.poison: list[Poison] = []
        self._messages = messages
        self._rules = rules
        self._park_limit = park_limit
        self._refusals = refusals
        self._documents: dict[Identity, Write | Candidates] = {}

    def take(self, index: int, envelope: Envelope) -> None:
        """Takes the changes of a message."""
        message = self._messages[index]
        impossible = _impossible(envelope, message)
        documents, is_shallow = self._documents, envelope.is_shallow
        for entry in envelope.entries:
            if isinstance(entry, Rejected):
                body = seal(entry.table, entry.stream, [entry.encoded], self._park_limit)
                self.poison.append(Poison(index, _letter(message, body, entry, table=entry.table)))
                continue
            if impossible is not None:
                self._park(index, entry, impossible)
                continue
            try:
                table = self._rules.table(entry.table)
                target = locate(table, entry)
            except PoisonError as error:
                self._park(index, entry, error)
                continue
            found = documents.get(target.identity)
            if found is None:
                write = None
                if not self._refusals:
                    write = lone_write(table, target, entry, index, is_shallow=is_shallow)
                documents[target.identity] = write or Candidates(table, target, [(entry, index)])
            elif isinstance(found, Candidates):
                found.changes.append((entry, index))
            else:
                changes = [(found.change, found.message), (entry, index)]
                documents[target.identity] = Candidates(table, found.target, changes)

    def fold(self) -> tuple[list[Write], Mapping[tuple[str, Op, int], int]]:
        """The writes, and what they stand for; adds to `poison` what cannot be written."""
        writes: list[Write] = []
        coalesced: Counter[tuple[str, Op, int]] = Counter()
        refused = {identity for identity, _ in self._refusals}
        for identity, found in self._documents.items():
            if isinstance(found, Write):
                writes.append(found)
                continue
            several: Sequence[Write]
            if identity in refused and can_stand_apart(found.table):
                several, unfit = apart(found, self._refusals)
            else:
                write, unfit = fold(found, self._refusals)
                several = () if write is None else (write,)
            writes += several
            for change, index, error in unfit:
                self._park(index, change, error)
            if several and len(found.changes) == 1:
                continue
            for change, index in found.changes:
                coalesced[change.table, change.op, index] += 1
            for change, index, _ in unfit:
                coalesced[change.table, change.op, index] -= 1
            for write in several:
                coalesced[write.change.table, write.change.op, write.message] -= 1
        return writes, +coalesced

    def _park(self, index: int, change: Change, error: PoisonError) -> None:
        letter = letter_of_change(self._messages[index], change, error, self._park_limit)
        self.poison.append(Poison(index, letter, change.op))


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
