"""How far a shard may be called done: the contiguous prefix of its pages that are settled. Pure.

Law: a position is reported only if every page up to it is settled, in whatever order that came about. A page
is settled when each of its messages is acknowledged; what was parked of it is parked before it is added.
"""

from collections import deque
from dataclasses import dataclass

from follow.reader.lineage import Position


@dataclass(eq=False, slots=True)
class Page:
    """What one request brought of a shard.

    Attributes:
        after: the sequence number of its last record.
        open: how many of its messages are not acknowledged.
    """

    after: str
    open: int


class Progress:
    """The pages of one shard, in the order of reading."""

    def __init__(self, position: Position) -> None:
        self._position = self._reported = position
        self._pages: deque[Page] = deque()
        self._has_ended = False

    def add(self, after: str, messages: int) -> Page:
        """Adds the next page. Each of its messages is to be acknowledged once."""
        page = Page(after, messages)
        self._pages.append(page)
        self._advance()
        return page

    def acknowledge(self, page: Page) -> None:
        """One of its messages is acknowledged."""
        page.open -= 1
        self._advance()

    def end(self) -> None:
        """No more pages come: the shard is read to its end."""
        self._has_ended = True
        self._advance()

    @property
    def is_done(self) -> bool:
        """Whether all of the shard is read and settled."""
        return self._position.done

    def unreported(self) -> Position | None:
        """The position, if it is another one than the last that was reported."""
        return self._position if self._position != self._reported else None

    def reported(self, position: Position) -> None:
        """This position is noted durably."""
        self._reported = position

    def _advance(self) -> None:
        while self._pages and not self._pages[0].open:
            self._position = Position(self._pages.popleft().after)
        if self._has_ended and not self._pages:
            self._position = Position(done=True)
