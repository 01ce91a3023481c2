"""Whether this process can do its work, and if not, what it waits for. State only; no I/O."""

import logging
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from writer.ports import Clock
from writer.write import Place

log = logging.getLogger(__name__)
_outage_log = log.getChild("outages")
"""For a program that tells them to a person in its own way, which silences it."""

STARTING = "starting"
"""The reason to wait for a dependency that was not called yet."""

LEASE = "lease"
"""The code of a table that another process follows."""

SLOW_WRITE = 15.0
"""Seconds without an answer to a write after which MongoDB is waited for. Usual are a few hundredths."""

_MOST_OUTAGES = 50


class Dependency(StrEnum):
    """What a process depends on: the writer on SQS and MongoDB, `follow` on DynamoDB and MongoDB."""

    DYNAMODB = "dynamodb"
    SQS = "sqs"
    MONGODB = "mongodb"

    @property
    def known_as(self) -> str:
        """As people call it."""
        return _NAMES[self]


_NAMES = {Dependency.DYNAMODB: "DynamoDB", Dependency.SQS: "SQS", Dependency.MONGODB: "MongoDB"}


@dataclass(frozen=True, slots=True)
class Wait:
    """Why and since when (seconds since the epoch) a dependency is waited for."""

    reason: str
    since: float


@dataclass(frozen=True, slots=True)
class TableWait:
    """Why and since when (seconds since the epoch) writes of one table wait.

    Attributes:
        code: MongoDB's error code, or `LEASE`.
        reason: a sentence that names the collection and what is wrong.
    """

    table: str
    code: str
    reason: str
    since: float


class Outage(NamedTuple):
    """A dependency did not answer: which one, since and until when (seconds since the epoch)."""

    dependency: Dependency
    since: float
    until: float


@dataclass(slots=True)
class _Lost:
    """A dependency is lost to some callers, until each of them has reached it again.

    One whose call fails again and again, while others reach the dependency, still waits for it. The caller
    None stands for all that have given up: anybody's success is good for them.
    """

    reason: str
    since: float
    callers: set[object] = field(default_factory=lambda: {None})


class Health:
    """The state behind `/readyz`. Changes of state are logged, repetitions are not."""

    def __init__(
        self, clock: Clock, dependencies: Iterable[Dependency] = (Dependency.SQS, Dependency.MONGODB)
    ) -> None:
        """Nothing was called yet. `dependencies`: those that this process has; by default the writer's."""
        self._clock = clock
        self.dependencies = tuple(dependencies)
        self._lost = {dependency: _Lost(STARTING, clock.now()) for dependency in self.dependencies}
        self._writing: dict[object, tuple[float, float]] = {}
        # Those of a whole place, and those of single writes (True).
        self._tables: dict[tuple[Place, bool], TableWait] = {}
        self.has_started = False
        """Whether all dependencies have answered at one time; whatever is waited for since."""
        self.outages: deque[Outage] = deque(maxlen=_MOST_OUTAGES)
        """The latest outages that have ended."""

    @property
    def ready(self) -> bool:
        """Whether nothing is waited for."""
        return not self._tables and not self.waits

    @property
    def waits(self) -> Mapping[Dependency, Wait]:
        """The dependencies that do not answer."""
        waits = {dependency: Wait(lost.reason, lost.since) for dependency, lost in self._lost.items()}
        if Dependency.MONGODB not in waits and self._writing:
            started, since = min(self._writing.values())
            seconds = self._clock.monotonic() - started
            if seconds >= SLOW_WRITE:
                reason = f"MongoDB has not answered a write for {seconds:.0f} s"
                waits[Dependency.MONGODB] = Wait(reason, since)
        return waits

    @property
    def tables(self) -> Mapping[Place, TableWait]:
        """The places where MongoDB refuses writes, although it takes others; and tables that are not ours."""
        alone_first = sorted(self._tables, key=lambda key: not key[1])
        return {place: self._tables[place, alone] for place, alone in alone_first}

    def lost(self, dependency: Dependency, reason: str, caller: object = None) -> None:
        """A call to the dependency failed; waiting helps. The latest reason is shown."""
        lost = self._lost.get(dependency)
        if lost is not None and lost.reason != STARTING:
            lost.reason = reason
            lost.callers.add(caller)
            return
        self._lost[dependency] = _Lost(reason, self._clock.now(), {caller})
        _outage_log.warning("waiting for a server", extra={"part": dependency.value, "reason": reason})

    def found(self, dependency: Dependency, caller: object = None) -> None:
        """A call to the dependency succeeded."""
        lost = self._lost.get(dependency)
        if lost is None:
            return
        lost.callers -= {caller, None}
        if lost.callers:
            return
        del self._lost[dependency]
        self.has_started |= not self._lost
        now = self._clock.now()
        if lost.reason != STARTING:
            self.outages.append(Outage(dependency, lost.since, now))
        seconds = round(now - lost.since, 3)
        _outage_log.info(
            "a server answers again", extra={"part": dependency.value, "waited_seconds": seconds}
        )

    def given_up(self, dependency: Dependency, caller: object) -> None:
        """The caller does not try again; whether the dependency answers is not known."""
        lost = self._lost.get(dependency)
        if lost is not None and caller in lost.callers:
            lost.callers ^= {caller}
            lost.callers.add(None)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """While MongoDB is asked to write: if it takes long, `waits` says so before there is an answer."""
        call = object()
        self._writing[call] = self._clock.monotonic(), self._clock.now()
        try:
            yield
        finally:
            started, since = self._writing.pop(call)
            if self._clock.monotonic() - started >= SLOW_WRITE:
                self.outages.append(Outage(Dependency.MONGODB, since, self._clock.now()))

    def refused(self, place: Place, wait: TableWait, *, alone: bool = False) -> None:
        """MongoDB takes no writes of a table; `alone`: not some of them. The latest reason is shown."""
        if (known := self._tables.get((place, alone))) is not None:
            self._tables[place, alone] = TableWait(wait.table, wait.code, wait.reason, known.since)
            return
        self._tables[place, alone] = wait
        words = {"table": wait.table, "code": wait.code, "reason": wait.reason}
        log.warning(
            "writes are waiting: MongoDB refuses them, but accepts others to the same table"
            if alone
            else "a table is waiting: MongoDB refuses its writes",
            extra=words,
        )

    def relieved(self, place: Place, *, alone: bool = False) -> None:
        """A table, or some writes of it, are waited for no longer."""
        wait = self._tables.pop((place, alone), None)
        if wait is not None:
            seconds = round(self._clock.now() - wait.since, 3)
            words = "its writes are no longer waiting" if alone else "a table is no longer waiting"
            log.info(words, extra={"table": wait.table, "waited_seconds": seconds})

    def leased(self, table: str, *, elsewhere: bool) -> None:
        """Whether another process has the lease of a table, so that this one waits for its end."""
        key = (("$lease", table), False)  # no database can have this name
        if not elsewhere:
            self._tables.pop(key, None)
        elif key not in self._tables:
            reason = f"another process follows {table}"
            self._tables[key] = TableWait(table, LEASE, reason, self._clock.now())
