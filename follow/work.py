"""What the tables of one process share: what is to be done, and what bounds its memory."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from follow.delivery import ROOM, TURNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from follow.queue import LaneQueue
    from follow.state import State
    from ops.migration.settings import Settings
    from writer.context import Context
    from writer.mapping.rules import Rules
    from writer.mongodb.sink import MongoSink


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done.

    Attributes:
        tables: each with its settings; the target is the same for all.
        rules: of all tables.
        once: end when everything is copied, and all changes until then are replicated.
        status: address and port of the status page; None: there is none.
        resync: after a gap compare and repair the table, and go on; else a gap ends the process.
    """

    tables: Sequence[Settings]
    rules: Rules
    once: bool = False
    status: tuple[str, int] | None = None
    resync: bool = False


class Limits:
    """What all tables share, which bounds memory."""

    def __init__(self, tables: int) -> None:
        self.turns = asyncio.Semaphore(TURNS)
        self.room = ROOM // tables
        self.copying = asyncio.Lock()
        """One table is copied at a time; all streams are read meanwhile."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What the tables of a process share.

    Attributes:
        work: what is to be done.
        context: of the writer's parts.
        state: what is kept in MongoDB.
        queue: where messages go.
        sink: the writer's.
        status: address and port at which the process can be asked; None: it cannot.
        limits: which bound memory.
    """

    work: Work
    context: Context
    state: State
    queue: LaneQueue
    sink: MongoSink
    status: tuple[str, int] | None
    limits: Limits
