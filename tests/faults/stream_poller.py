"""Plays Lambda's event source mapping on a stream: polls shards, invokes, retries, bisects. And its faults.

It reads shards by itself, not by `follow`'s reader: beside `follow`, both would make the same mistake.

Source: AWS Lambda developer guide, "Using AWS Lambda with Amazon DynamoDB" and "Configuring partial batch
response": parents before their children, batches of one shard one after the other, a retry from the lowest
sequence number that was reported, both halves on their own after an error.
"""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from producer_lambda import handler
from shared.errors import TransientError
from tests.support.lambda_environment import Deadline, end_execution_environment
from tests.support.lambda_events import in_lambda_event

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Sequence

    from producer_lambda.forward import Response
    from tests.faults.source import Table

Record = dict[str, Any]

SENTINEL = "sentinel"
"""An attribute by whose value one knows that the stream was forwarded up to there."""

_BATCH_SIZE = 100
_REMEMBERED = 5_000  # records that may be forwarded again
_REPEATED = 40  # at most so many of them at once


class InvocationError(Exception):
    """An invocation that Lambda counts as failed."""


@dataclass
class LambdaFaults:
    """Probabilities, per invocation.

    Attributes:
        fail: it fails before it sends anything.
        forget: it sends everything, and then its answer is lost.
        cold: Lambda replaces the execution environment.
        repeat: some old records are forwarded again, packed differently.
    """

    fail: float = 0.0
    forget: float = 0.0
    cold: float = 0.0
    repeat: float = 0.0


class Function:
    """The real Lambda function. It reads its settings from the environment of this process.

    Attributes:
        invocations: how often it was invoked.
        failures: how many invocations failed.
        partial: how many invocations reported records that could not be sent.
    """

    def __init__(self, rng: random.Random, faults: LambdaFaults) -> None:
        self._rng = rng
        self.faults = faults
        self.invocations = 0
        self.failures = 0
        self.partial = 0

    def invoke(self, event: dict[str, Any]) -> Response:
        """Invokes the function.

        Raises:
            InvocationError: It failed, in a way that Lambda retries.
        """
        self.invocations += 1
        if self._happens(self.faults.cold):
            end_execution_environment()
        try:
            if self._happens(self.faults.fail):
                raise InvocationError
            response = handler.lambda_handler(event, Deadline(5.0))
            if self._happens(self.faults.forget):
                raise InvocationError
        except (InvocationError, TransientError) as error:
            self.failures += 1
            raise InvocationError from error
        self.partial += bool(response["batchItemFailures"])
        return response

    def _happens(self, probability: float) -> bool:
        return self._rng.random() < probability


class StreamPoller:
    """Forwards one table's stream. Not thread-safe."""

    def __init__(self, streams: Any, table: Table, function: Function, rng: random.Random) -> None:
        """Start at the oldest record.

        Args:
            streams: A client of DynamoDB's streams API.
            table: The table whose stream is forwarded.
            function: The function to invoke.
            rng: Decides which old records are repeated.
        """
        self._streams = streams
        self._table = table
        self._function = function
        self._rng = rng
        self._shards: dict[str, _Shard] = {}
        self._old: deque[Record] = deque(maxlen=_REMEMBERED)
        self._closed = False
        self.sentinels: set[str] = set()
        self.forwarded = 0

    def step(self) -> bool:
        """Forwards at most one batch of each shard; returns whether there was one."""
        batches = [self._read(shard) for shard in self._open_shards()]
        for records in filter(None, batches):
            self._deliver(records)
            self._old.extend(records)
            self.forwarded += len(records)
            self.sentinels.update(_sentinels(records))
            if self._rng.random() < self._function.faults.repeat:
                self._repeat()
        return any(batches)

    def close(self) -> None:
        """Stop retrying."""
        self._closed = True

    def _open_shards(self) -> list[_Shard]:
        description = self._streams.describe_stream(StreamArn=self._table.stream)["StreamDescription"]
        for shard in description["Shards"]:
            self._shards.setdefault(shard["ShardId"], _Shard(shard["ShardId"], shard.get("ParentShardId")))
        pending = {shard.id for shard in self._shards.values() if not shard.exhausted}
        return [
            shard for shard in self._shards.values() if shard.id in pending and shard.parent not in pending
        ]

    def _read(self, shard: _Shard) -> Sequence[Record]:
        if shard.iterator is None:
            position = (
                {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": shard.last}
                if shard.last
                else {"ShardIteratorType": "TRIM_HORIZON"}
            )
            answer = self._streams.get_shard_iterator(
                StreamArn=self._table.stream, ShardId=shard.id, **position
            )
            shard.iterator = answer["ShardIterator"]
        try:
            answer = self._streams.get_records(ShardIterator=shard.iterator, Limit=_BATCH_SIZE)
        except ClientError as error:
            # DynamoDB Local raises the first one for an iterator of a shard that was empty.
            if error.response["Error"]["Code"] not in (
                "TrimmedDataAccessException",
                "ExpiredIteratorException",
            ):
                raise
            shard.iterator = None
            return ()
        shard.iterator = answer.get("NextShardIterator")
        shard.exhausted = shard.iterator is None
        records = [as_in_lambda(record, self._table.stream) for record in answer["Records"]]
        if records:
            shard.last = records[-1]["dynamodb"]["SequenceNumber"]
        return records

    def _deliver(self, records: Sequence[Record]) -> None:
        """Forwards all records in order, with retries."""
        waiting = [records]
        while waiting and not self._closed:
            batch = waiting.pop()
            try:
                response = self._function.invoke({"Records": batch})
            except InvocationError:
                half = len(batch) // 2
                waiting += [part for part in (batch[half:], batch[:half]) if part]
                continue
            rest = _from_lowest_failure(batch, response)
            if rest:
                waiting.append(rest)

    def _repeat(self) -> None:
        """Forwards old records again, long after newer ones."""
        start = self._rng.randrange(len(self._old))
        some = itertools.islice(self._old, start, start + self._rng.randint(1, _REPEATED))
        try:
            self._function.invoke({"Records": list(some)})
        except InvocationError:
            return  # they were forwarded before, so none is lost


@dataclass
class _Shard:
    """A shard, and its position."""

    id: str
    parent: str | None
    iterator: str | None = None
    last: str | None = None
    exhausted: bool = False


def _from_lowest_failure(batch: Sequence[Record], response: Response) -> Sequence[Record]:
    """What Lambda sends again after a partial batch response."""
    sequences = [record["dynamodb"]["SequenceNumber"] for record in batch]
    failed = [sequences.index(failure["itemIdentifier"]) for failure in response["batchItemFailures"]]
    return batch[min(failed) :] if failed else ()


def _sentinels(records: Sequence[Record]) -> Iterator[str]:
    for record in records:
        sentinel = record["dynamodb"].get("NewImage", {}).get(SENTINEL)
        if sentinel:
            yield sentinel["S"]


def as_in_lambda(record: Record, stream: str) -> Record:
    """A record of the streams API as a Lambda event has it.

    Binary values are base64 text there, times are seconds, and each record names its stream.
    """
    body: dict[str, Any] = {
        name: in_lambda_event(value) if name in ("Keys", "NewImage", "OldImage") else value
        for name, value in record["dynamodb"].items()
    }
    body["ApproximateCreationDateTime"] = body["ApproximateCreationDateTime"].timestamp()
    converted = {**record, "eventSourceARN": stream, "dynamodb": body}
    if identity := record.get("userIdentity"):
        converted["userIdentity"] = {"type": identity["Type"], "principalId": identity["PrincipalId"]}
    return converted
