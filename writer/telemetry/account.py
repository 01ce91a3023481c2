"""What became of a batch, in numbers: plan + outcome + settlement → `Batch`. Pure.

Law: a change counts when its message is acknowledged, and not in a batch that gives the message back or holds
it.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from shared.change import Op
from writer.planning.plan import Plan
from writer.planning.settle import Settlement
from writer.ports import Outcome
from writer.telemetry.observer import Batch, Counted, Lag, Operation, Parked, Result
from writer.write import Place

_OPERATIONS = {Op.PUT: Operation.PUT, Op.DELETE: Operation.DELETE, None: Operation.UNKNOWN}


class Seconds(NamedTuple):
    """How long the steps of a batch took."""

    plan: float
    apply: float
    settle: float


def account(plan: Plan, outcome: Outcome, settlement: Settlement, now: float, took: Seconds) -> Batch:
    """Counts a batch that was acknowledged at `now` (seconds since the epoch)."""
    receipts = {message.receipt for message in settlement.staying}
    back = {index for index, message in enumerate(plan.messages) if receipts and message.receipt in receipts}
    written = _written(plan, outcome, back)
    ages: Counter[tuple[str, int]] = Counter()
    for (table, _, at), changes in written.items():
        if at is not None:  # else its lag is not known, and not zero either
            ages[table, at] += changes
    return Batch(
        messages=len(plan.messages),
        changes=plan.changes,
        counted=[
            *_applied(written, _by_table(plan, outcome.stale_at), _by_table(plan, outcome.older_stream_at)),
            *_coalesced(plan, back),
            *_parked(plan, settlement, back),
        ],
        lags=[Lag(table, max(0.0, now - at / 1000), changes) for (table, at), changes in ages.items()],
        parked=[Parked(letter.table, letter.code) for letter in settlement.park],
        given_back=len(settlement.staying),
        plan=took.plan,
        apply=took.apply,
        settle=took.settle,
    )


def _written(plan: Plan, outcome: Outcome, back: Collection[int]) -> Counter[tuple[str, bool, int | None]]:
    """Changes that are in MongoDB now, by table, whether they are deletions, and time."""
    writes = plan.writes
    if back or outcome.failures:
        writes = [
            write
            for index, write in enumerate(writes)
            if index not in outcome.failures and write.message not in back
        ]
    # Stream records have whole seconds, so these are few, however many changes there are.
    return Counter((write.change.table, write.change.op is Op.DELETE, write.change.at) for write in writes)


def _by_table(plan: Plan, counts: Mapping[Place, int]) -> Counter[str]:
    """What is counted by place, by table."""
    found: Counter[str] = Counter()
    if counts:
        tables = {write.target[:2]: write.change.table for write in plan.writes}
        for place, changes in counts.items():
            found[tables[place]] += changes
    return found


def _applied(
    written: Mapping[tuple[str, bool, int | None], int],
    stale: Mapping[str, int],
    older_stream: Mapping[str, int],
) -> Iterator[Counted]:
    puts: Counter[str] = Counter()
    deletions: Counter[str] = Counter()
    for (table, deletion, _), changes in written.items():
        (deletions if deletion else puts)[table] += changes
    for table, changes in puts.items():
        # MongoDB also counts a deletion as stale that finds its mark in the document.
        late = min(stale[table], changes)
        older = min(older_stream[table], late)
        if older:
            yield Counted(table, Operation.PUT, Result.OLDER_STREAM, older)
        if late > older:
            yield Counted(table, Operation.PUT, Result.STALE, late - older)
        if changes > late:
            yield Counted(table, Operation.PUT, Result.APPLIED, changes - late)
    for table, changes in deletions.items():
        yield Counted(table, Operation.DELETE, Result.APPLIED, changes)


def _coalesced(plan: Plan, back: Collection[int]) -> Iterator[Counted]:
    found: Counter[tuple[str, Op]] = Counter()
    for (table, op, message), changes in plan.coalesced_of.items():
        if message not in back:
            found[table, op] += changes
    for (table, op), changes in found.items():
        yield Counted(table, _OPERATIONS[op], Result.COALESCED, changes)


def _parked(plan: Plan, settlement: Settlement, back: Collection[int]) -> Iterator[Counted]:
    found: Counter[tuple[str, Op | None]] = Counter(
        (poison.letter.table, poison.op) for poison in plan.poison if poison.message not in back
    )
    for index in settlement.parked:
        change = plan.writes[index].change
        found[change.table, change.op] += 1
    for (table, op), changes in found.items():
        yield Counted(table, _OPERATIONS[op], Result.PARKED, changes)
