"""Which shards of a stream may be read next."""

from __future__ import annotations

from follow.reader.lineage import Lineage, Position, Shard

PARENT, CHILD, GRANDCHILD = "shard-1", "shard-2", "shard-3"
FAMILY = [
    Shard(PARENT, None, closed=True),
    Shard(CHILD, PARENT, closed=True),
    Shard(GRANDCHILD, CHILD, closed=False),
]


def lineage(**positions: Position) -> Lineage:
    return Lineage({shard.replace("_", "-"): position for shard, position in positions.items()})


def test_a_child_waits_for_its_parent() -> None:
    """However the listing is ordered."""
    known = lineage()
    known.listing(reversed(FAMILY))
    assert known.begin() == [PARENT]
    assert known.begin() == []
    known.end(PARENT)
    assert known.begin() == [CHILD]
    assert known.waiting == {GRANDCHILD}


def test_a_trimmed_parent_holds_up_nobody() -> None:
    known = lineage()
    known.listing(FAMILY[1:])
    assert known.begin() == [CHILD]


def test_a_parent_that_is_trimmed_while_it_is_read_still_comes_first() -> None:
    known = lineage()
    known.listing(FAMILY)
    known.begin()
    assert known.listing(FAMILY[1:]) == ([], [], [])
    assert known.begin() == []
    assert known.may_end(PARENT)
    known.end(PARENT)
    assert known.begin() == [CHILD]


def test_only_a_closed_shard_may_end() -> None:
    """And a shard that was closed once stays so, whatever a later listing says."""
    known = lineage()
    known.listing([Shard(PARENT, None, closed=False)])
    known.begin()
    assert not known.may_end(PARENT)
    known.listing([Shard(PARENT, None, closed=True)])
    known.listing([Shard(PARENT, None, closed=False)])
    assert known.may_end(PARENT)


def test_what_was_done_before_is_not_read_again() -> None:
    known = lineage(shard_1=Position("7", done=True), shard_2=Position("9"))
    known.listing(FAMILY)
    assert known.begin() == [CHILD]


def test_closed_shards_are_forgotten_when_they_are_trimmed() -> None:
    known = lineage(shard_1=Position(done=True))
    assert known.listing(FAMILY) == ([], [], [CHILD, GRANDCHILD])
    assert known.listing(FAMILY[1:]) == ([], [PARENT], [])
    assert known.listing(FAMILY[1:]) == ([], [], [])


def test_a_shard_that_is_trimmed_before_its_end_is_lost() -> None:
    """Whether it was begun by an earlier run, or only known of."""
    known = lineage(shard_1=Position("7"))
    assert known.listing(FAMILY[1:]).lost == [PARENT]
    known = lineage()
    known.listing(FAMILY)
    known.begin()
    assert known.listing([FAMILY[0], FAMILY[2]]).lost == [CHILD]


def test_shards_that_wait_for_each_other_are_seen() -> None:
    """Nothing would be read, and nobody would know."""
    known = lineage()
    known.listing([Shard(PARENT, CHILD, closed=True), Shard(CHILD, PARENT, closed=True)])
    assert known.begin() == []
    assert known.is_stuck
    known.listing(FAMILY)
    assert not known.is_stuck
    known.begin()
    assert not known.is_stuck
