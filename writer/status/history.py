"""What the writer did in the last 15 minutes, for the status page: an `Observer` that remembers.

Law: its memory is bounded: less than 1 MB with 100 tables. A batch costs a few microseconds. Slots of time
follow the monotonic clock, so a correction of the machine's time moves no figure.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from writer.status.window import SLOTS, STEP, Window
from writer.telemetry.histogram import Histogram
from writer.telemetry.observer import LONGEST_NAME, MOST_TABLES, Call, Observer, Result

if TYPE_CHECKING:
    from array import array
    from collections.abc import Mapping, Sequence

    from writer.ports import Clock
    from writer.telemetry.observer import Backlog, Batch, InHand, Trouble

MOST_TROUBLES = 20

MOST_BACKLOGS = 60
"""Backlogs that are remembered: a trend needs some minutes of them."""

SAME_TROUBLE = 60.0
"""Seconds after which the same trouble is a new one."""

RECENT_SLOTS = 3
"""Slots that count as now: ten to fifteen seconds."""

_MOST_WORDS = 300  # characters of a trouble's sentence
_UNKNOWN = math.nan


class Sample(NamedTuple):
    """A backlog, and when it was reported (monotonic seconds)."""

    at: float
    backlog: Backlog


class Kind(StrEnum):
    """What an incident is."""

    TROUBLE = "trouble"
    DEAD_LETTER = "dead letter"
    CHANGES = "changes"


@dataclass(slots=True)
class Incident:
    """A trouble, dead letters of one kind, or changes of an older stream, once or repeatedly.

    Attributes:
        kind: which of these.
        cause: see `Trouble`; for dead letters their code; for changes their result.
        words: the latest; empty for dead letters and changes.
        table: that of the dead letters or changes; None for a trouble.
        first, last: when, monotonic seconds.
        count: how often.
    """

    kind: Kind
    cause: str
    words: str
    table: str | None
    first: float
    last: float
    count: int = 1


class Row:
    """What became of the changes of a table in the window, and how old the latest ones were."""

    __slots__ = ("counts", "lag", "seen")

    def __init__(self, window: Window) -> None:
        self.counts = {result: window.column() for result in Result}
        self.lag: float | None = None
        self.seen = 0  # the last slot with changes of the table

    def totals(self) -> Mapping[Result, int]:
        """Changes by their fate."""
        return {result: int(sum(column)) for result, column in self.counts.items()}


class History(Observer):
    """Remembers what it observes, and sums it up for the page."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.started = clock.monotonic()
        self._window = Window(self.started)
        self._first_slot = self._window.latest
        column = self._window.column
        self._results = {result: column() for result in Result}
        self._batches, self._messages, self._changes = column(), column(), column()
        self._lags = Histogram()  # of the current slot
        self._lag_p50, self._lag_p99, self._lag_max = column(_UNKNOWN), column(_UNKNOWN), column(_UNKNOWN)
        self._waiting, self._in_flight, self._dead = column(_UNKNOWN), column(_UNKNOWN), column(_UNKNOWN)
        self._calls = {call: (column(), column()) for call in Call}  # their number, and their seconds
        self._held: dict[int, tuple[InHand, int]] = {}  # by loop: what, and since which slot
        self.rows: dict[str, Row] = {}
        """By table, those with changes in the window."""
        self.others = Row(self._window)
        self.samples: deque[Sample] = deque(maxlen=MOST_BACKLOGS)
        self.incidents: deque[Incident] = deque(maxlen=MOST_TROUBLES)

    def batch(self, batch: Batch) -> None:
        now = self._clock.monotonic()
        index = self._advance(now)
        self._batches[index] += 1
        self._messages[index] += batch.messages
        self._changes[index] += batch.changes
        for table, _, result, changes in batch.counted:
            self._results[result][index] += changes
            row = self._row(table)
            row.counts[result][index] += changes
            row.seen = self._window.latest
            if result is Result.OLDER_STREAM:
                name = table[:LONGEST_NAME]
                self._add_incident(Incident(Kind.CHANGES, result, "", name, now, now, changes))
        oldest: dict[str, float] = {}
        for table, seconds, changes in batch.lags:
            self._lags.add(seconds, changes)
            oldest[table] = max(seconds, oldest.get(table, 0.0))
        for table, seconds in oldest.items():
            self._row(table).lag = seconds
        for table, code in batch.parked:
            self._add_incident(Incident(Kind.DEAD_LETTER, code, "", table[:LONGEST_NAME], now, now))

    def in_hand(self, loop: int, held: InHand | None) -> None:
        self._advance(self._clock.monotonic())
        self._age(loop)
        if held is None:
            self._held.pop(loop, None)
        else:
            self._held[loop] = held, self._window.latest

    def called(self, call: Call, seconds: float) -> None:
        index = self._advance(self._clock.monotonic())
        number, total = self._calls[call]
        number[index] += 1
        total[index] += seconds

    def backlog(self, backlog: Backlog) -> None:
        now = self._clock.monotonic()
        index = self._advance(now)
        self._waiting[index] = backlog.waiting
        self._in_flight[index] = backlog.in_flight
        self._dead[index] = backlog.dead_letters
        self.samples.append(Sample(now, backlog))

    def trouble(self, trouble: Trouble) -> None:
        now, words = self._clock.monotonic(), trouble.words[:_MOST_WORDS]
        self._add_incident(Incident(Kind.TROUBLE, trouble.cause, words, None, now, now))

    @property
    def since(self) -> int:
        """Slots of the window before this writer started."""
        return max(0, SLOTS - 1 - (self._window.latest - self._first_slot))

    def refresh(self) -> float:
        """Updates everything, before it is read; returns the seconds of the current slot so far."""
        now = self._clock.monotonic()
        self._note_lags(self._advance(now))
        for loop in list(self._held):
            self._age(loop)
        return now - self._window.latest * STEP

    def series(self) -> Mapping[str, Sequence[float | None]]:
        """Figures per slot, the oldest first; None: not known."""
        columns = {str(result): column for result, column in self._results.items()}
        columns |= {"batches": self._batches, "messages": self._messages, "changes": self._changes}
        columns |= {"lag_p50": self._lag_p50, "lag_p99": self._lag_p99, "lag_max": self._lag_max}
        columns |= {"waiting": self._waiting, "in_flight": self._in_flight, "dead_letters": self._dead}
        found = {name: self._known(column) for name, column in columns.items()}
        for call in (Call.BULK, Call.DELETE):
            number, total = map(self._window.in_order, self._calls[call])
            found[f"{call}_seconds"] = [t / n if n else None for n, t in zip(number, total, strict=True)]
        return found

    def recent(self) -> tuple[float, float]:
        """How many changes were settled just now, and in how many seconds."""
        slots = [self._window.in_order(column)[-RECENT_SLOTS:] for column in self._results.values()]
        now = self._clock.monotonic()
        seconds = now - max(self.started, (self._window.latest - RECENT_SLOTS + 1) * STEP)
        return sum(map(sum, slots)), max(seconds, 1.0)

    def lag(self) -> float | None:
        """Age of the oldest change that is in hand or was acknowledged just now; None: there is none."""
        recent = self._window.in_order(self._lag_max)[-RECENT_SLOTS:]
        ages = [value for value in recent if not math.isnan(value)]
        oldest = [held.oldest for held, _ in self._held.values() if held.oldest is not None]
        if oldest:
            ages.append(max(0.0, self._clock.now() - min(oldest)))
        return max(ages, default=None)

    @property
    def messages_in_hand(self) -> int:
        """Received and not settled."""
        return sum(held.messages for held, _ in self._held.values())

    def _row(self, table: str) -> Row:
        row = self.rows.get(table)
        if row is None:
            if len(self.rows) >= MOST_TABLES or len(table) > LONGEST_NAME:
                return self.others
            row = self.rows[table] = Row(self._window)
        return row

    def _add_incident(self, news: Incident) -> None:
        for known in self.incidents:
            same = (known.kind, known.cause, known.table) == (news.kind, news.cause, news.table)
            if same and news.last - known.last <= SAME_TROUBLE:
                known.words, known.last, known.count = news.words, news.last, known.count + news.count
                self.incidents.remove(known)
                self.incidents.append(known)
                return
        self.incidents.append(news)

    def _advance(self, now: float) -> int:
        """Closes slots that have ended; returns the index of the current one."""
        window = self._window
        if now >= window.end:
            self._note_lags(window.index)
            self._lags.clear()
            window.advance(now)
            quiet = [name for name, row in self.rows.items() if window.latest - row.seen >= SLOTS]
            window.drop(column for name in quiet for column in self.rows.pop(name).counts.values())
        return window.index

    def _note_lags(self, index: int) -> None:
        if (middle := self._lags.quantile(0.5)) is not None:
            self._lag_p50[index] = middle
            self._lag_p99[index] = self._lags.quantile(0.99) or 0.0
            self._lag_max[index] = _larger(self._lag_max[index], self._lags.most)

    def _age(self, loop: int) -> None:
        """Notes, for the slots that ended since, how old the loop's oldest change was then.

        Without it, the lag would not show while MongoDB is down.
        """
        if loop not in self._held:
            return
        held, since = self._held[loop]
        latest = self._window.latest
        if held.oldest is not None and latest > since:
            ahead = self._clock.now() - self._clock.monotonic()
            for slot in range(max(since, latest - SLOTS + 1), latest):
                age = ahead + (slot + 1) * STEP - held.oldest
                self._lag_max[slot % SLOTS] = _larger(self._lag_max[slot % SLOTS], age)
        self._held[loop] = held, latest

    def _known(self, column: array[float]) -> Sequence[float | None]:
        missing = self.since
        values = self._window.in_order(column)
        return [None] * missing + [None if math.isnan(value) else value for value in values[missing:]]


def _larger(known: float, value: float) -> float:
    return value if math.isnan(known) else max(known, value)
