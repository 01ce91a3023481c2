"""Which refused writes can be done together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from writer.mongodb.blocking import dependent, groups


def test_rings_and_chains() -> None:
    """Each is a group; what stands alone, too."""
    needs: dict[int, set[int]] = {0: {1}, 1: {0}, 2: {3}, 3: {4}, 4: {2}, 5: {6}, 6: set(), 7: set()}
    assert groups(needs, set()) == [[0, 1], [2, 3, 4], [5, 6], [7]]


def test_what_is_blocked_blocks_what_needs_it() -> None:
    """But not what it needs itself, nor its neighbours."""
    needs: dict[int, set[int]] = {0: {1}, 1: {2}, 2: {3}, 3: set(), 4: {3}}
    assert groups(needs, {1}) == [[2, 3, 4]]
    assert dependent(needs, [3]) == {0, 1, 2, 3, 4}


def test_what_is_not_known_is_tried_together() -> None:
    """Without what is known to be blocked."""
    needs: dict[int, set[int]] = {0: set(), 1: set(), 2: set(), 3: set()}
    assert groups(needs, {1}, {0, 1, 3}) == [[0, 3], [2]]


graphs = st.dictionaries(st.integers(0, 9), st.sets(st.integers(0, 9)), max_size=10).map(
    lambda needs: {write: {each for each in needed if each in needs} for write, needed in needs.items()}
)


@given(graphs, st.sets(st.integers(0, 9)), st.sets(st.integers(0, 9)))
def test_groups_are_whole(needs: dict[int, set[int]], blocked: set[int], unknown: set[int]) -> None:
    """Every write is in one group, with all that it needs, or it is blocked by what it needs."""
    found = groups(needs, blocked, unknown)
    members = [write for group in found for write in group]
    assert len(members) == len(set(members))
    assert set(members) == needs.keys() - dependent(needs, blocked)
    for group in found:
        assert all(needs[write] <= set(group) for write in group)
