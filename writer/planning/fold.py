"""Several changes of one document → one write with the outcome of applying them one after the other. Pure.

A change that cannot become a document is left out: the outcome is that of the others.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from shared.change import Change, Op
from shared.errors import PoisonError
from writer.mapping.document import Image, image_of, old_place, same_place
from writer.mapping.model import Deletes, Mode
from writer.mapping.rules import Table
from writer.write import Identity, Mark, Merge, Removal, Shard, Target, Write

Refusals = Mapping[tuple[Identity, str], PoisonError]
"""The changes that MongoDB refused for good, by document and version."""

Unfit = list[tuple[Change, int, PoisonError]]
"""Changes that cannot be applied, each with the index of its message."""


@dataclass(slots=True)
class Candidates:
    """The changes of one document, each with the index of its message."""

    table: Table
    target: Target
    changes: list[tuple[Change, int]] = field(default_factory=list)


def fold(candidates: Candidates, refusals: Refusals) -> tuple[Write | None, Unfit]:
    """Finds the write for all changes of a document.

    The document becomes the newest put. A newer deletion that keeps the document marks it; one that removes
    it, or a put that the hook does not want, ends the search: older changes do not matter.

    Returns:
        The write (None: there is nothing to write), and the changes that cannot be applied.
    """
    changes = candidates.changes
    if len(changes) > 1:
        changes = _newest_first(changes)
    elif not refusals:
        write = lone_write(candidates.table, candidates.target, *changes[0])
        if write is not None:
            return write, []
    outcome = _Outcome(candidates.table, candidates.target)
    unfit: Unfit = []
    remaining = iter(changes)
    for change, message in remaining:
        if unfit and change.version == unfit[-1][0].version:
            continue  # the same change once more: parked already
        try:
            if refusals and (refusal := refusals.get((candidates.target.identity, change.version))):
                raise refusal
            outcome.take(change, message)
        except PoisonError as error:
            unfit.append((change, message, error))
        if outcome.is_known:
            break
    for change, message in remaining:
        outcome.take_older(change, message)
    return outcome.write(), unfit


def can_stand_apart(table: Table) -> bool:
    """Whether `apart` has the outcome of `fold`: a put does not depend on the changes before it."""
    return table.rule.mode is Mode.REPLACE and not table.rule.shard_key


def apart(candidates: Candidates, refusals: Refusals) -> tuple[list[Write], Unfit]:
    """The same changes, each as a write of its own: newest first, down to the deletion that ends the search.

    For documents whose newest change MongoDB refused: with one write in each plan, until MongoDB takes one,
    there could be as many rounds as changes. The guard makes their order irrelevant to the outcome; in this
    one, the writes after the first that MongoDB takes change nothing.

    Returns:
        The writes, and the changes that cannot be applied.
    """
    changes = _newest_first(candidates.changes)
    writes: list[Write] = []
    unfit: Unfit = []
    start = 0
    for version, group in groupby(changes, key=_version):
        same = list(group)
        change, message = same[0]
        if refusal := refusals.get((candidates.target.identity, version)):
            unfit.append((change, message, refusal))
            start += len(same)
            continue
        ends = change.op is Op.DELETE and candidates.table.effect(change) is Deletes.DELETE
        write, more = fold(replace(candidates, changes=changes[start:] if ends else same), {})
        unfit += more
        if write is not None:
            writes.append(write)
        if ends:
            break
        start += len(same)
    return writes, unfit


def _newest_first(changes: list[tuple[Change, int]]) -> list[tuple[Change, int]]:
    """Of equal ones the last that came is first."""
    return sorted(changes, key=_version)[::-1]


def _version(pair: tuple[Change, int]) -> str:
    return pair[0].version


def lone_write(
    table: Table, target: Target, change: Change, message: int, *, is_shallow: bool = False
) -> Write | None:
    """The short way for nearly every write: one change of its document, where nothing else decides.

    Args:
        table: the rules.
        target: the document.
        change: the change.
        message: the index of its message.
        is_shallow: as `image_of` has it.

    Returns:
        None: `fold` decides, also about what cannot be applied.
    """
    if not table.is_simple:
        return None
    messages = frozenset((message,))
    if change.op is Op.PUT:
        try:
            image = image_of(table, change, target, is_shallow=is_shallow)
        except PoisonError:
            return None
        if image is None:
            raise ValueError("only a hook refuses an item, and this table has none")
        document, version, merge, shard = image
        if merge is not None and change.gone:
            merge = merge._replace(unset=_names_of(table, change.gone))
        return Write(
            target, change, version, message, messages, 1, (), document, merge, table.can_mark, None, shard
        )
    version, effect = change.version, table.effect(change)
    if effect is Deletes.DELETE:
        return Write(target, change, version, message, messages, 1, [Removal({}, version)])
    if effect is Deletes.MARK:
        return Write(target, change, version, message, messages, 1, [], mark=Mark(version, change.at))
    return None


def _names_of(table: Table, attributes: Iterable[str]) -> Sequence[str]:
    """The names of attributes in the documents, in order, without those that are left out."""
    return sorted({name for attribute in attributes if (name := table.fields.name_of(attribute))})


@dataclass(slots=True)
class _Outcome:
    """What becomes of the document; changes are taken newest first.

    Attributes:
        change: the newest change to write, and `message` the index of its message.
        removal: the deletion that ends the search for a put.
        left: places that the document left.
        gone: attributes that left the item.
        reset: version of the newest removal before the put.
        covered: indices of the messages whose changes the write stands for.
    """

    table: Table
    target: Target
    change: Change | None = None
    message: int = 0
    image: Image | None = None
    mark: Mark | None = None
    removal: Removal | None = None
    left: list[Removal] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    reset: str = ""
    covered: list[int] = field(default_factory=list)

    @property
    def is_known(self) -> bool:
        """Whether older changes no longer matter to what the document holds."""
        return self.image is not None or self.removal is not None

    def take(self, change: Change, message: int) -> None:
        """Takes the next older change.

        Raises:
            PoisonError: it cannot be applied; nothing of it is taken.
        """
        place = self._place_before(change)
        if change.op is Op.DELETE:
            effect: Deletes | None = self.table.effect(change)
        else:
            self.image = image_of(self.table, change, self.target)
            effect = Deletes.DELETE if self.image is None else None  # the hook leaves the item out
        self.covered.append(message)
        if effect is Deletes.KEEP:
            return
        if effect is Deletes.DELETE:
            self.removal = Removal(place or {}, change.version)
        else:
            self._leave(place, change)
        if self.image is not None or self.mark is None:
            self.change, self.message = change, message
        if effect is Deletes.MARK and self.mark is None:
            self.mark = Mark(change.version, change.at)
        self.gone |= change.gone

    def take_older(self, change: Change, message: int) -> None:
        """Takes a change that a newer one stands for."""
        self.covered.append(message)
        place = self._place_before(change)
        if change.op is Op.DELETE and self.table.effect(change) is Deletes.DELETE:
            self.reset = self.reset or change.version
            self._leave(place or {}, change)
        else:
            self._leave(place, change)
        if not self.reset:
            self.gone |= change.gone

    def write(self) -> Write | None:
        """The write; None if there is nothing to do."""
        if self.change is None:
            return None
        shard = self._shard()
        removals = [] if self.removal is None else [self.removal]
        removals += [removal for removal in self.left if not same_place(removal.shard, shard)]
        return Write(
            target=self.target,
            change=self.change,
            version=self.change.version,
            message=self.message,
            messages=frozenset(self.covered),
            changes=len(self.covered),
            removals=removals,
            document=None if self.image is None else self.image.document,
            merge=self._merge(),
            keeps_marks=self.image is not None and self.table.can_mark,
            mark=self.mark,
            shard=shard,
        )

    def _place_before(self, change: Change) -> Shard | None:
        try:
            return old_place(self.table, change)
        except PoisonError:
            return None  # an image with these values was never written, so no document is there

    def _leave(self, place: Shard | None, change: Change) -> None:
        if self.table.rule.shard_key and place is not None:
            self.left.append(Removal(place, change.version, same=change.op is Op.DELETE))

    def _shard(self) -> Shard:
        if self.image is not None:
            return self.image.shard
        if self.removal is not None:
            return self.removal.shard
        return self.left[0].shard if self.left else {}

    def _merge(self) -> Merge | None:
        if self.image is None or self.image.merge is None:
            return None
        gone = set(_names_of(self.table, self.gone))
        # An upsert creates the fields of its filter, even as null if the item does not have them.
        gone.update(path.split(".")[0] for path in self.table.rule.shard_key)
        return self.image.merge._replace(unset=sorted(gone), reset=self.reset)
