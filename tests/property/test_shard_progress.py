"""A shard's checkpoint never says more than what is acknowledged, and at the end it says all."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from follow.progress import Page, Progress
from follow.reader.lineage import Position

PAGES = st.lists(st.integers(0, 4), max_size=12)
"""How many messages each page has."""


@given(pages=PAGES, data=st.data())
def test_a_position_stands_for_all_before_it(pages: list[int], data: st.DataObject) -> None:
    """Pages come in order; their messages are acknowledged in any order, and some never."""
    progress = Progress(Position("0"))
    waiting = list(enumerate(pages, 1))
    added: list[Page] = []
    open_messages: list[Page] = []
    while waiting or open_messages:
        can = (["add"] if waiting else []) + (["acknowledge"] if open_messages else [])
        if data.draw(st.sampled_from(can)) == "add":
            number, messages = waiting.pop(0)
            added.append(progress.add(str(number), messages))
            open_messages += [added[-1]] * messages
        else:
            place = data.draw(st.integers(0, len(open_messages) - 1))
            progress.acknowledge(open_messages.pop(place))
        done = 0
        while done < len(added) and added[done] not in open_messages:
            done += 1
        position = progress.unreported() or Position("0")
        assert position == Position(str(done))
        assert not progress.is_done
    progress.end()
    assert progress.unreported() == Position(done=True)


@given(pages=PAGES)
def test_a_shard_that_is_read_is_not_done_before_it_is_settled(pages: list[int]) -> None:
    progress = Progress(Position())
    added = [progress.add(str(number), messages) for number, messages in enumerate(pages, 1)]
    progress.end()
    for page, messages in reversed(list(zip(added, pages, strict=True))):
        for _ in range(messages):
            assert not progress.is_done
            progress.acknowledge(page)
    assert progress.is_done


def test_a_position_is_reported_until_it_is_noted() -> None:
    """A note that fails is made again; one that was made is not."""
    progress = Progress(Position("3"))
    assert progress.unreported() is None
    progress.add("7", 0)
    first = progress.unreported()
    assert first == progress.unreported() == Position("7")
    progress.add("9", 0)
    progress.reported(first)
    assert progress.unreported() == Position("9")
    progress.reported(Position("9"))
    assert progress.unreported() is None
