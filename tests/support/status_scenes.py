"""Quarters of an hour of a writer's life, as its status page sees them, without waiting for them.

`python -m tests.support.status_scenes docs/status-page.png` takes the picture that the documentation shows.
"""

from __future__ import annotations

import asyncio
import math
import random
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from local.polling import HANG_TIMEOUT_S
from tests.support.browser import Watched, chromium
from tests.support.fake_clock import FakeClock
from writer.status.history import History
from writer.status.page import StatusPage, routes
from writer.telemetry.health import Dependency, Health
from writer.telemetry.observer import (
    Backlog,
    Batch,
    Call,
    Cause,
    Counted,
    Facts,
    InHand,
    Lag,
    Operation,
    Parked,
    Result,
    Trouble,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.browser import Scheme

HOST = "127.0.0.1"
TABLES = {"orders": 0.55, "customers": 0.25, "events-2020": 0.15, "sessions": 0.05}
LOOPS = 8
QUEUE = "https://sqs.eu-west-1.amazonaws.com/123456789012/replicator-bde64730.fifo"
DEAD = QUEUE.replace("replicator-", "replicator-dead-")
REASON = "MongoDB: ServerSelectionTimeoutError"


class Scene:
    """A writer's observer, health and clock, and time that passes when it is told so."""

    def __init__(self, *dependencies: Dependency) -> None:
        self.clock = FakeClock()
        self.health = Health(self.clock, dependencies) if dependencies else Health(self.clock)
        self.history = History(self.clock)
        self.stopping = False
        facts = Facts("0.2.0", "0123456789ab", 4, LOOPS, QUEUE, DEAD)
        if Dependency.SQS not in self.health.dependencies:
            facts = Facts("0.2.0", "0123456789ab", 4, LOOPS, program="replicator follow")
        self.page = StatusPage(self.history, self.health, self.clock, facts, lambda: self.stopping)
        self.waiting = 0.0
        self.dead_letters = 0
        self.seconds = 0
        self.dice = random.Random(7)  # noqa: S311 - the same scene every time

    def opens(self) -> None:
        """All parts are there."""
        for part in Dependency:
            self.health.found(part)

    def loses_mongodb(self) -> None:
        """From now on nothing is written."""
        self.health.lost(Dependency.MONGODB, REASON)
        for loop in range(LOOPS):
            self.history.in_hand(loop, InHand(14, 52, self.clock.now() - 0.8))

    def finds_mongodb(self) -> None:
        """It is back."""
        self.health.found(Dependency.MONGODB)
        for loop in range(LOOPS):
            self.history.in_hand(loop, None)

    def passes(self, seconds: int, changes: float = 400, most: float = 1300) -> None:
        """Time with about so many changes a second, of which MongoDB takes at most so many."""
        for _ in range(seconds):
            away = Dependency.MONGODB in self.health.waits
            self.clock.time += 1
            self.seconds += 1
            come = changes * (1 + 0.3 * math.sin(self.seconds / 70) + self.dice.uniform(-0.12, 0.12))
            self.waiting += come / 4
            if away:
                if self.seconds % 5 == 0:
                    self.history.trouble(Trouble(Cause.MONGODB, REASON))
            else:
                self._writes(min(self.waiting * 4, most))
            if self.seconds % 15 == 0:
                held = 112 if away else self.dice.randint(18, 60)
                self.history.backlog(Backlog(int(self.waiting), held, self.dead_letters))

    def _writes(self, changes: float) -> None:
        self.waiting -= changes / 4
        lag = 0.75 + self.dice.uniform(0, 0.5) + self.waiting / 300
        for _ in range(LOOPS):
            counted, lags = [], []
            for table, share in TABLES.items():
                if applied := round(changes / LOOPS * share):
                    counted.append(Counted(table, Operation.PUT, Result.APPLIED, applied))
                    lags.append(Lag(table, lag * self.dice.uniform(0.8, 1.2), applied))
            counted.append(Counted("orders", Operation.PUT, Result.COALESCED, round(changes / 150)))
            if self.dice.random() < 0.1:
                counted.append(Counted("sessions", Operation.PUT, Result.STALE, 1))
            told = round(changes / LOOPS)
            self.history.batch(Batch(max(1, told // 4), told, counted, lags, apply=0.02))
            self.history.called(Call.BULK, 0.018 + self.dice.uniform(0, 0.012))
            self.history.called(Call.DELETE, 0.006 + self.dice.uniform(0, 0.003))

    def parks(self, table: str, code: str) -> None:
        """A record becomes a dead letter."""
        self.dead_letters += 1
        counted = [Counted(table, Operation.PUT, Result.PARKED, 1)]
        self.history.batch(Batch(1, 1, counted, parked=[Parked(table, code)]))

    def meets_an_older_stream(self, table: str, changes: int) -> None:
        """Changes come that can never win."""
        counted = [Counted(table, Operation.PUT, Result.OLDER_STREAM, changes)]
        self.history.batch(Batch(1, changes, counted))

    @contextmanager
    def served(self) -> Iterator[str]:
        """The page's address, while it is served."""
        listening: Future[tuple[str, Callable[[], object]]] = Future()

        async def serve() -> None:
            loop, end = asyncio.get_running_loop(), asyncio.Event()
            application = web.Application()
            application.add_routes(routes(self.page))
            runner = web.AppRunner(application)
            await runner.setup()
            await web.TCPSite(runner, HOST, 0).start()
            address = f"http://{HOST}:{runner.addresses[0][1]}/"
            listening.set_result((address, lambda: loop.call_soon_threadsafe(end.set)))
            await end.wait()
            await runner.cleanup()

        # In a thread of its own: Playwright's loop runs in ours.
        with ThreadPoolExecutor(1) as thread:
            served = thread.submit(asyncio.run, serve())
            address, stop = listening.result(timeout=HANG_TIMEOUT_S)
            try:
                yield address
            finally:
                stop()
                served.result()


def just_started() -> Scene:
    """Nothing was reached yet."""
    scene = Scene()
    scene.clock.time += 2
    return scene


def steady() -> Scene:
    """Hours of traffic, an outage of MongoDB in the last quarter of an hour, a dead letter."""
    scene = Scene()
    scene.opens()
    scene.passes(1000)
    scene.parks("customers", "bad-conversion")
    scene.passes(150)
    scene.loses_mongodb()
    scene.passes(75)
    scene.finds_mongodb()
    scene.passes(430)
    return scene


def outage() -> Scene:
    """MongoDB is away, and still is."""
    scene = Scene()
    scene.opens()
    scene.passes(700)
    scene.loses_mongodb()
    scene.passes(135)
    return scene


def catching_up() -> Scene:
    """A backlog becomes smaller."""
    scene = Scene()
    scene.opens()
    scene.waiting = 50_000
    scene.passes(140)
    return scene


def other_region() -> Scene:
    """The stream of another region is followed: its label is older."""
    scene = Scene()
    scene.opens()
    scene.passes(400)
    for _ in range(3):
        scene.meets_an_older_stream("orders", 2_400)
        scene.passes(30)
    return scene


def follow() -> Scene:
    """A process without a queue; dead letters are in MongoDB, and the stream is away."""
    scene = Scene(Dependency.DYNAMODB, Dependency.MONGODB)
    scene.opens()
    scene.passes(600)
    scene.parks("customers", "bad-conversion")
    scene.passes(100)
    scene.health.lost(Dependency.DYNAMODB, "reading the stream: AWS answered InternalServerError")
    scene.history.trouble(Trouble(Cause.DYNAMODB, "reading the stream: AWS answered InternalServerError"))
    return scene


SCENES = {each.__name__: each for each in (just_started, steady, outage, catching_up, other_region, follow)}


def picture(
    scene: Scene, file: Path, *, scheme: Scheme = "light", width: int = 1100, height: int | None = None
) -> None:
    """Takes a picture of a scene, as high as the page if no height is given."""
    with scene.served() as address, chromium() as browser:
        watched = Watched(browser, address, scheme=scheme, width=width)
        watched.page.clock.set_fixed_time(datetime.fromtimestamp(scene.clock.now(), UTC))
        page = watched.open()
        page.set_viewport_size({"width": width, "height": height or 900})
        page.screenshot(path=file, full_page=height is None)


if __name__ == "__main__":
    from PIL import Image

    target = Path(sys.argv[1])
    picture(steady(), target)
    Image.open(target).quantize(256).save(target, optimize=True)  # a third of the size; nobody sees it
