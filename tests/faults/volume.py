"""Very many changes: envelopes go straight to the queue, as fast as the writers apply them.

What the documents must be in the end is known here, so there is no need of a source.
"""

from __future__ import annotations

import itertools
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pymongo

from local.pipeline.writer_process import WriterProcess
from tests.faults.proxy import Proxy
from tests.faults.queues import FaultQueues
from tests.faults.world import queues_only
from tests.support.builders import body_of, delete, put

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping
    from pathlib import Path

    from local.stack import Stack

TABLE = "volume"
KEYS = 4_000
_LANES = 40
_CHANGES = 100  # of one message
_MESSAGES = 10  # of one call
_MOST_WAITING = 100  # messages
_DELETED = 0.2
_REPEATED = 0.1  # share of messages that come a second time


class Changes:
    """Makes changes, and remembers what the documents must be."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.made = 0
        self.newest: dict[int, int] = {}

    def body(self, lane: int) -> str:
        """The next message of a lane."""
        return body_of(*(self._change(lane) for _ in range(_CHANGES)))

    def _change(self, lane: int) -> Any:
        self.made += 1
        key = self._rng.randrange(KEYS // _LANES) * _LANES + lane
        if self._rng.random() < _DELETED:
            self.newest.pop(key, None)
            return delete(self.made, key, table=TABLE)
        self.newest[key] = self.made
        return put(self.made, key, table=TABLE, n=self.made)


class Volume:
    """Two writers, and between them and both servers a proxy each that breaks connections."""

    def __init__(  # noqa: PLR0913 - the fixtures of a test
        self,
        stack: Stack,
        folder: Path,
        rng: random.Random,
        unique: str,
        database: str,
        *,
        visibility: int = 5,
        receives: int = 1000,
        to_sqs: Mapping[str, float] = MappingProxyType({}),
        to_mongodb: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        """Makes the queues and the proxies.

        Args:
            stack: the servers.
            folder: for the writers' logs.
            rng: determines everything random here.
            unique: name of the queue.
            database: the target.
            visibility: the queue's visibility timeout, seconds.
            receives: the queue's maxReceiveCount.
            to_sqs: options of the proxy before SQS.
            to_mongodb: options of that before MongoDB.
        """
        self._stack = stack
        self._folder = folder
        self._rng = rng
        self._database = database
        self._sqs = stack.client("sqs")
        self._numbers = itertools.count(1)
        self.queues = FaultQueues(self._sqs, unique, visibility=visibility, receives=receives)
        self.to_sqs = Proxy(urlsplit(stack.endpoint_url).netloc, rng, **to_sqs)
        self.to_mongodb = Proxy(urlsplit(stack.mongodb_uri).netloc, rng, **to_mongodb)
        self.changes = Changes(rng)
        self.writers: list[WriterProcess] = []
        self.faults = 0
        self.sent = 0

    def start_writer(self, **settings: str) -> None:
        self.writers.append(
            WriterProcess(
                self._stack,
                queues_only(self.queues.url, self.queues.dead_letter_url),
                log=self._folder / f"writer-{next(self._numbers)}.log",
                replication_file=None,
                settings={
                    "AWS_ENDPOINT_URL": f"http://{self.to_sqs.address}",
                    "MONGODB_URI": f"mongodb://{self.to_mongodb.address}/?directConnection=true",
                    "MONGODB_DATABASE": self._database,
                    "LOG_LEVEL": "DEBUG",  # a line for each batch
                    **settings,
                },
            )
        )

    def send(self) -> None:
        """Sends a thousand changes in ten lanes, some of them twice."""
        bodies = [(lane, self.changes.body(lane)) for lane in self._rng.sample(range(_LANES), _MESSAGES)]
        again = [each for each in bodies if self._rng.random() < _REPEATED]
        self.sent += len(bodies) + len(again)
        for some in (bodies, again):
            if some:
                self._sqs.send_message_batch(
                    QueueUrl=self.queues.url,
                    Entries=[
                        {
                            "Id": str(index),
                            "MessageBody": body,
                            "MessageGroupId": f"lane-{lane}",
                            "MessageDeduplicationId": str(next(self._numbers)),
                        }
                        for index, (lane, body) in enumerate(some)
                    ],
                )

    def break_something(self) -> None:
        """One fault: connections end, answers are lost, or a writer is killed."""
        self.faults += 1
        proxy = self._rng.choice([self.to_sqs, self.to_mongodb])
        way = self._rng.random()
        if way < 0.5:
            proxy.reset()
        elif way < 0.9:
            proxy.lose_answers(self._rng.uniform(0.05, 0.3))
        else:
            self.writers.pop(self._rng.randrange(len(self.writers))).kill()
            self.start_writer()

    def mend(self) -> None:
        """Ends what lasts."""
        for proxy in (self.to_sqs, self.to_mongodb):
            proxy.lose_answers(0)

    def check(self) -> None:
        """The writers that were not killed are running."""
        for writer in self.writers:
            writer.child.check()

    def documents(self) -> dict[int, int]:
        """What is in MongoDB; comparable with `changes.newest`."""
        with pymongo.MongoClient[dict[str, Any]](self._stack.mongodb_uri) as client:
            return {document["_id"]: document["n"] for document in client[self._database][TABLE].find()}

    def close(self) -> None:
        for writer in self.writers:
            writer.kill()
        self.to_sqs.close()
        self.to_mongodb.close()
        self.queues.delete()
