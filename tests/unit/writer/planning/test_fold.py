"""Several changes of one document → one write: what it stands for, and what gives way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bson
import pytest

from shared.errors import PoisonError
from tests.support.builders import TABLE, delete, put
from writer.mapping.document import locate
from writer.mapping.parser import parse_replication
from writer.mapping.rules import Rules
from writer.planning.fold import Candidates, fold
from writer.write import Mark, Removal

if TYPE_CHECKING:
    from shared.change import Change
    from writer.mapping.hooks import Document
    from writer.planning.fold import Unfit
    from writer.write import Write

NUL: dict[str, Any] = {"a\0b": 1}


def candidates(rule: str, *changes: Change, hook: Any = None) -> Candidates:
    replication = parse_replication(f"tables: {{{TABLE}: {{{rule}}}}}", "replication.yaml")
    table = Rules(replication, {"m:f": hook}).table(TABLE)
    return Candidates(table, locate(table, changes[0]), [(change, n) for n, change in enumerate(changes)])


def folded(rule: str, *changes: Change, hook: Any = None) -> tuple[Write, Unfit]:
    write, unfit = fold(candidates(rule, *changes, hook=hook), {})
    assert write is not None
    return write, unfit


def content(write: Write) -> Any:
    assert write.document is not None
    return bson.decode(write.document)["n"]


def test_the_newest_stands_for_all() -> None:
    """Messages and changes are counted: settling goes by them."""
    write, unfit = folded("", put(2, n=2), put(3, n=3), put(1, n=1))
    assert content(write) == 3
    assert (write.change, write.message) == (put(3, n=3), 1)
    assert (write.messages, write.changes) == (frozenset({0, 1, 2}), 3)
    assert (write.removals, write.mark, unfit) == ([], None, [])


def test_a_removal_ends_the_search() -> None:
    """An older put need not be able to become a document."""
    write, unfit = folded("", put(1, 1, **NUL), delete(2))
    assert (write.removals, write.document, write.changes) == ([Removal({}, delete(2).version)], None, 2)
    assert unfit == []


def test_what_cannot_be_applied_gives_way() -> None:
    """The next older one is written, and the other is told with its message."""
    write, unfit = folded("", put(1, n=1), put(2, 1, **NUL))
    assert content(write) == 1
    assert (write.message, write.messages, write.changes) == (0, frozenset({0}), 1)
    assert [(change.sequence, message, error.code) for change, message, error in unfit] == [
        ("2", 1, "not-bson")
    ]


def test_what_mongodb_refused_gives_way() -> None:
    """Likewise; a refused deletion, too."""
    made = candidates("deletes: mark", put(1, n=1), put(2, n=2), delete(3))
    error = PoisonError("mongodb-121", "refused")
    for sequences, expected in ((("2",), (1, True)), (("3",), (2, False)), (("2", "3"), (1, False))):
        refusals = {(made.target.identity, put(int(number)).version): error for number in sequences}
        write, unfit = fold(made, refusals)
        assert write is not None
        assert (content(write), write.mark is not None) == expected
        assert sorted(change.sequence for change, _, _ in unfit) == list(sequences)


def test_a_mark_stands_beside_the_last_image() -> None:
    """The change to be parked, should MongoDB refuse, is the put; the deletion's message waits with it."""
    write, _ = folded("deletes: mark", put(1, n=1), delete(2), delete(3))
    assert content(write) == 1
    assert write.change.sequence == "1"
    assert write.mark == Mark(delete(3).version, delete(3).at)
    assert (write.messages, write.changes) == (frozenset({0, 1, 2}), 3)


def test_a_mark_alone() -> None:
    """The document is where it is."""
    write, _ = folded("deletes: mark", delete(2))
    assert (write.document, write.removals, write.change.sequence) == (None, [], "2")
    assert write.mark == Mark(delete(2).version, delete(2).at)


def test_a_mark_after_a_removal_keeps_both() -> None:
    """The put between them is somewhere else (parked, say): when it comes, it is to be marked."""
    write, _ = folded("deletes: mark, ttl_deletes: delete", delete(2)._replace(ttl=True), delete(4))
    assert write.removals == [Removal({}, delete(2).version)]
    assert write.mark == Mark(delete(4).version, delete(4).at)
    assert write.document is None


def test_kept_documents_need_no_write() -> None:
    """But what else is there is written; all of it is covered."""
    assert fold(candidates("deletes: keep", delete(1), delete(2)), {}) == (None, [])
    write, _ = folded("deletes: keep", put(1, n=1), delete(2))
    assert content(write) == 1
    assert (write.messages, write.changes) == (frozenset({0, 1}), 2)


def test_a_hook_that_does_not_want_the_item() -> None:
    """It is a removal, whatever deletions do: the item left what is replicated."""

    def unwanted(document: Document, _: Change) -> Document | None:
        return document if document["n"] < 2 else None

    for deletes in ("delete", "mark", "keep"):
        write, unfit = folded(f"deletes: {deletes}, hook: 'm:f'", put(1, n=1), put(2, n=2), hook=unwanted)
        assert (write.removals, write.document) == ([Removal({}, put(2).version)], None)
        assert (write.mark, write.changes, unfit) == (None, 2, [])


def test_merging_unites_what_left_the_item() -> None:
    """Under the names that the fields have in the document, back to the last removal."""
    first, last = put(3, n=3)._replace(gone=frozenset("ab")), put(4, n=4)._replace(gone=frozenset("c"))
    before = put(1)._replace(gone=frozenset("z"))
    rule = "mode: merge, fields: {a: {rename: A}}"
    write, _ = folded(rule, before, delete(2), first, last)
    assert write.merge is not None
    assert (write.merge.unset, write.merge.reset) == (["A", "b", "c"], delete(2).version)
    assert set(write.merge.names) == {"id", "n"}
    write, _ = folded(rule, first, last)
    assert write.merge is not None
    assert write.merge.reset == ""


@pytest.mark.parametrize("deletes", ["mark", "keep"])
def test_merging_goes_on_in_a_document_that_stayed(deletes: str) -> None:
    """The deletion took nothing away."""
    write, _ = folded(f"mode: merge, deletes: {deletes}", put(1, n=1), delete(2), put(3, n=3))
    assert write.merge is not None
    assert write.merge.reset == ""
    assert write.mark is None
    assert write.keeps_marks == (deletes == "mark")


def test_old_values_that_no_image_can_have_had() -> None:
    """They cannot keep the deletion from being done: it goes by `_id`."""
    rule = "shard_key: [t], fields: {t: {convert: epoch_seconds}}"
    write, unfit = folded(rule, delete(2)._replace(old={"t": "soon"}))
    assert (write.removals, unfit) == ([Removal({}, delete(2).version)], [])
    write, unfit = folded(rule, put(3, t=1)._replace(old={"t": "soon"}))
    assert (write.removals, unfit) == ([], [])
    assert list(write.shard) == ["t"]


def test_places_that_a_document_left() -> None:
    """By conversions and defaults of the mapping, as the document had them; paths go into maps."""
    rule = "shard_key: [address.city, tier], fields: {tier: {default: basic}}"
    old = {"address": {"city": "rome"}}
    write, _ = folded(rule, put(2, address={"city": "oslo"}, tier="x")._replace(old=old))
    assert write.shard == {"address.city": "oslo", "tier": "x"}
    assert write.removals == [Removal({"address.city": "rome", "tier": "basic"}, write.version, same=False)]
    write, _ = folded(rule, put(2, address=old["address"])._replace(old=old))
    assert write.removals == []


def test_a_hook_that_moves_the_document() -> None:
    """A deletion would look for it where the old values say."""

    def moves(document: Document, _: Change) -> Document:
        return {**document, "region": document["region"].upper()}

    def adds(document: Document, _: Change) -> Document:
        return {**document, "more": 1}

    write, unfit = fold(candidates("shard_key: [region], hook: 'm:f'", put(1, region="eu"), hook=moves), {})
    assert write is None
    assert [(error.code, "shard key" in error.reason) for _, _, error in unfit] == [("hook-failed", True)]
    write, _ = folded("shard_key: [region], hook: 'm:f'", put(1, region="eu"), hook=adds)
    assert write.shard == {"region": "eu"}


@pytest.mark.parametrize("value", [1, {"a": 1, "b": 2}])
def test_a_hook_that_changes_only_the_kind_of_the_shard_key(value: Any) -> None:
    """What Python finds equal, MongoDB may not."""

    def other(document: Document, _: Change) -> Document:
        region = document["region"]
        turned = dict(reversed(region.items())) if isinstance(region, dict) else bool(region)
        return {**document, "region": turned}

    rule = "shard_key: [region], hook: 'm:f'"
    _, unfit = fold(candidates(rule, put(1, region=value), hook=other), {})
    assert [error.code for _, _, error in unfit] == ["hook-failed"]


def test_a_place_of_another_type_is_left() -> None:
    """1 and true are equal in Python, and not in MongoDB."""
    write, _ = folded("shard_key: [t]", put(2, t=True)._replace(old={"t": 1}))
    assert [dict(removal.shard) for removal in write.removals] == [{"t": 1}]
    assert folded("shard_key: [t]", put(2, t=1)._replace(old={"t": 1}))[0].removals == []


def test_values_that_bson_cannot_hold_in_a_shard_key() -> None:
    """In the image they are parked; in old values nothing was ever written with them."""
    _, unfit = fold(candidates("shard_key: [region]", put(1, region=2**64 - 1)), {})
    assert [error.code for _, _, error in unfit] == ["not-bson"]
    write, unfit = folded("shard_key: [region]", delete(1)._replace(old={"region": 2**64 - 1}))
    assert (write.removals, unfit) == ([Removal({}, delete(1).version)], [])


@pytest.mark.parametrize("rule", ["fields: {a.b: {default: 1}}", "include: [id, a.b]"])
def test_a_list_that_is_nested_too_deep_for_the_rules(rule: str) -> None:
    """It is parked like any other: nothing that arrives may end the writer."""
    deep: Any = []
    for _ in range(5000):
        deep = [deep]
    change = put(1, a=deep)._replace(tagged=False)
    _, unfit = fold(candidates(rule, change), {})
    assert [error.code for _, _, error in unfit] == ["too-deep"]
