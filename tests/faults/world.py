"""A replication on real servers with everything that a test may break, and the final comparison."""

from __future__ import annotations

import os
import signal
import time
import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import pymongo

from local.pipeline.deployment import Deployment
from local.pipeline.writer_process import WriterProcess
from local.polling import wait_until
from tests.faults.background import Background
from tests.faults.queues import FaultQueues
from tests.faults.stream_poller import (
    Function,
    LambdaFaults,
    StreamPoller,
)
from tests.faults.watch import Watch
from tests.faults.workload import KEYS, Workload
from tests.support.lambda_environment import end_execution_environment
from tests.support.oracle import Comparison, compare

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from local.stack import Stack
    from tests.faults.source import Source

MAPPING = """
tables:
  {simple}: {{key: [id]}}
  {composite}: {{key: [tenant, line]}}
"""


@dataclass(frozen=True)
class Options:
    """The options of a world.

    Attributes:
        mongodb_uri: The target; by default that of the stack.
        endpoint_url: Where the Lambda and the writers reach SQS; by default at the stack.
        visibility: The queue's visibility timeout, seconds.
        receives: The queue's maxReceiveCount.
        refused: See `Workload`.
        keys: See `Workload`.
    """

    mongodb_uri: str | None = None
    endpoint_url: str | None = None
    visibility: int = 30
    receives: int = 100
    refused: float = 0.0
    keys: int = KEYS


def queues_only(queue_url: str, dead_letter_url: str) -> Deployment:
    """A deployment as a writer needs it: the test plays the Lambda and its event source mapping."""
    return Deployment(
        name="faults",
        queue_url=queue_url,
        dead_letter_queue_url=dead_letter_url,
        function_name="",
    )


class World:
    """Two tables, their streams, the Lambda, queues, writers, the target, for the time of its block."""

    def __init__(
        self, stack: Stack, source: Source, folder: Path, rng: random.Random, options: Options
    ) -> None:
        """Make the parts; nothing runs before `begin`.

        Args:
            stack: The SQS emulator, and the MongoDB if `options` names none.
            source: DynamoDB Local.
            folder: An existing, empty folder.
            rng: Determines everything random here.
            options: The options.
        """
        self.rng = rng
        self._stack = stack
        self.source = source
        self._folder = folder
        self._resources = ExitStack()
        self.mongodb_uri = options.mongodb_uri or stack.mongodb_uri
        self.endpoint_url = options.endpoint_url or stack.endpoint_url
        self.database = name = f"faults-{uuid.uuid4().hex[:12]}"
        self.tables = (
            source.create_table(f"{name}-simple", id="N"),
            source.create_table(f"{name}-composite", tenant="S", line="B"),
        )
        for table in self.tables:
            self._resources.callback(source.delete_table, table)
        self.queues = FaultQueues(
            stack.client("sqs"), name, visibility=options.visibility, receives=options.receives
        )
        self._resources.callback(self.queues.delete)
        self.mapping = folder / "replication.yaml"
        self.mapping.write_text(
            MAPPING.format(simple=self.tables[0].name, composite=self.tables[1].name), encoding="utf-8"
        )
        self.client = self._resources.enter_context(
            pymongo.MongoClient[dict[str, Any]](self.mongodb_uri, serverSelectionTimeoutMS=30_000)
        )
        self.target = self.client[name]
        self._resources.callback(self.client.drop_database, name)
        self.watch = Watch(self.mongodb_uri, name, [table.name for table in self.tables])
        self.faults = LambdaFaults()
        self.function = Function(rng, self.faults)
        self._pollers = [StreamPoller(source.streams, table, self.function, rng) for table in self.tables]
        self.workload = Workload(
            source.dynamodb, self.tables, rng, refused=options.refused, keys=options.keys
        )
        self.writers: list[WriterProcess] = []
        self._writers_started = 0
        self._threads: list[Background] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop everything; a second call does nothing."""
        for poller in self._pollers:
            poller.close()
        for thread in self._threads:
            thread.end()
        for writer in self.writers:
            writer.kill()
        self.watch.close()
        self._resources.close()

    # What a test does

    def begin(self, *, load: bool = True) -> None:
        """Start watch, stream and (unless the test makes the changes) the workload.

        The environment of this process, which is the Lambda's, must name the queue before.
        """
        self._threads.append(Background("watch", self.watch.step, finish=self.watch.close))
        self.start_stream()
        if load:
            self.start_load()

    def start_stream(self) -> None:
        """Starts what forwards the streams, or lets it go on where it was."""
        self._threads.append(Background("stream", self._forward, finish=end_execution_environment))

    def stop_stream(self) -> None:
        """Forwards no more of the streams."""
        self._stop("stream")

    def start_load(self, *, gently: bool = False) -> None:
        """Start the workload, if `begin` did not.

        Args:
            gently: With a pause after each step, where the test is not about load.
        """

        def step() -> bool:
            return self.workload.step() and not gently

        self._threads.append(Background("workload", step, finish=lambda: None))

    def stop_load(self) -> None:
        """Ends the workload, if it runs."""
        if any(thread.name == "workload" for thread in self._threads):
            self._stop("workload")

    def start_writer(self, **settings: str) -> WriterProcess:
        """Starts another writer; call its `wait` if it can become ready."""
        self._writers_started += 1
        writer = WriterProcess(
            self._stack,
            queues_only(self.queues.url, self.queues.dead_letter_url),
            log=self._folder / f"writer-{self._writers_started}.log",
            replication_file=self.mapping,
            settings={
                "AWS_ENDPOINT_URL": self.endpoint_url,
                "MONGODB_URI": self.mongodb_uri,
                "MONGODB_DATABASE": self.database,
                **settings,
            },
        )
        self.writers.append(writer)
        return writer

    def start_writers(self, number: int) -> None:
        """Starts several writers, and waits until all of them are ready."""
        writers = [self.start_writer() for _ in range(number)]
        for writer in writers:
            writer.wait()

    def kill(self, writer: WriterProcess) -> None:
        """Kills a writer with kill -9."""
        self.writers.remove(writer)
        writer.kill()

    def freeze(self, writer: WriterProcess) -> None:
        """Stops the process as when a machine is suspended: it notices nothing."""
        os.kill(writer.child.pid, signal.SIGSTOP)

    def thaw(self, writer: WriterProcess) -> None:
        """Lets it continue."""
        os.kill(writer.child.pid, signal.SIGCONT)

    def wait_for(self, condition: Callable[[], Any], what: str) -> Any:
        """Waits; fails at once if a thread or a writer ends unexpectedly."""

        def checked() -> Any:
            self.check()
            return condition()

        return wait_until(checked, what=what)

    def let_pass(self, changes: int) -> None:
        """Waits until so many more changes were made to the tables."""
        goal = self.workload.changes + changes
        self.wait_for(lambda: self.workload.changes >= goal, f"{changes} more changes")

    def let_run(self, seconds: float) -> None:
        """Waits for a time: a fault must outlast a timeout, and the pace of changes varies."""
        end = time.monotonic() + seconds
        self.wait_for(lambda: time.monotonic() >= end, f"{seconds:g} s to pass")

    def check(self) -> None:
        """Do nothing if all threads and writers are running."""
        for thread in self._threads:
            thread.check()
        for writer in self.writers:
            writer.child.check()

    # The end

    def settle(self, *, in_order: bool = True) -> None:
        """Ends the workload, waits until everything has arrived, and checks it. All faults must be over.

        Args:
            in_order: stop the writers by SIGTERM, which takes as long as their polls; otherwise kill them.
        """
        self.stop_load()
        sentinel = f"after {self.workload.changes} changes"
        self.workload.finish(sentinel)
        while not self._has_forwarded(sentinel):  # however much there is after a long run
            before = self._forwarded()
            self.wait_for(
                lambda before=before: self._forwarded() > before or self._has_forwarded(sentinel),  # type: ignore[misc]
                "the next records of the streams",
            )
        self.stop_stream()
        self.wait_for(self._is_drained, "both queues to be empty")
        # If two writers held a key at the same time, a sweep may still have something to remove, once a
        # minute. No message is left that could repair anything else.
        self.wait_for(
            lambda: not any(comparison.extra for comparison in self.compare()),
            "documents of deleted items to go",
        )
        if in_order:
            self._stop_writers()
        for writer in list(self.writers):
            self.kill(writer)
        comparisons = self.compare()
        assert all(comparison.is_same for comparison in comparisons), "\n".join(map(str, comparisons))
        self.watch.mark()
        self.wait_for(self.watch.at_mark, "the change stream to come to its end")
        self._stop("watch")
        self._judge()

    def compare(self) -> Sequence[Comparison]:
        """Compares both sides, table by table."""
        return [
            compare(self.source.items(table), self.target[table.name].find(), table.key)
            for table in self.tables
        ]

    def _judge(self) -> None:
        timeline = self.watch.timeline
        print(  # noqa: T201 - shown if the test fails, or with -s
            f"{self.workload.changes} changes, {self._forwarded()} records in "
            f"{self.function.invocations} invocations ({self.function.failures} failed), "
            f"{self._writers_started} writers, {timeline.events} events in MongoDB, "
            f"{len(timeline.stale_inserts)} stale inserts, {self.queues.redriven} letters redriven"
        )
        assert not timeline.violations, "\n".join(timeline.violations[:5])
        assert not timeline.back(), "\n".join(timeline.back()[:5])
        assert timeline.events > 0

    def _forwarded(self) -> int:
        return sum(poller.forwarded for poller in self._pollers)

    def _has_forwarded(self, sentinel: str) -> bool:
        return all(sentinel in poller.sentinels for poller in self._pollers)

    def _forward(self) -> bool:
        moved = [poller.step() for poller in self._pollers]
        return any(moved)

    def _stop(self, name: str) -> None:
        (thread,) = (thread for thread in self._threads if thread.name == name)
        self._threads.remove(thread)
        thread.stop()

    def _stop_writers(self) -> None:
        for writer in self.writers:  # one that was just started has no handler for SIGTERM yet
            writer.wait()
        writers, self.writers = self.writers, []
        for writer in writers:  # all at once: each ends with its long polls
            os.kill(writer.child.pid, signal.SIGTERM)
        wait_until(
            lambda: not any(writer.child.running for writer in writers),
            what="the writers to end",
        )
        for writer in writers:
            assert writer.stop() == 0, f"see {writer.log}"

    def _is_drained(self) -> bool:
        self.queues.redrive()
        return self.queues.backlog() + self.queues.letters() == 0
