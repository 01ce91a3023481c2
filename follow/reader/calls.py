"""The calls of one stream, and what their answers mean.

Law: a list of shards and a page are what a positive check says they are. All else (an odd answer, an unknown
code) is a `TransientError`: never the end of a shard, never an empty page.

Source: Amazon DynamoDB API reference, ``DescribeStream``, ``GetShardIterator`` and ``GetRecords``, and their
errors.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import ClientError

from follow.reader.lineage import Shard
from shared.aws_errors import aws_call, error_code
from shared.errors import FatalError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SHARD_ID = re.compile(r"[A-Za-z0-9_-]{1,100}").fullmatch
_NUMBER = re.compile(r"[0-9]{1,99}").fullmatch
_MOST_LISTINGS = 10_000


def is_shard_id(value: object) -> bool:
    """Whether it looks like a shard's id; AWS's have 28 to 65 characters. It can be a field of MongoDB."""
    return isinstance(value, str) and _SHARD_ID(value) is not None


def is_sequence_number(value: object) -> bool:
    """Whether it is a text of digits."""
    return isinstance(value, str) and _NUMBER(value) is not None


class IteratorExpiredError(Exception):
    """An iterator is older than 15 minutes: another one goes on from the same place."""


class TrimmedError(Exception):
    """What an iterator points to is older than 24 hours, and not there any more."""


class GoneError(Exception):
    """There is no such shard, or no such stream."""


_MEANINGS = {
    "ExpiredIteratorException": IteratorExpiredError,
    "TrimmedDataAccessException": TrimmedError,
    "ResourceNotFoundException": GoneError,
}


class Page(NamedTuple):
    """What one request brought.

    Attributes:
        records: oldest first, as the SDK reads them.
        last: the sequence number of the last one; empty: there is none.
        next: the iterator of the next page; None: this was the last one.
        made: when the last record was made, seconds since the epoch; None: there is none, or it does not say.
    """

    records: Sequence[dict[str, Any]]
    last: str
    next: str | None
    made: float | None = None


class Stream:
    """One stream.

    All methods raise `TransientError` if trying again may help, or nobody knows, and `FatalError` if AWS
    refuses what it has never allowed.
    """

    def __init__(self, client: Any, arn: str) -> None:
        """`client`: of the service ``dynamodbstreams``, by aiobotocore."""
        self._client = client
        self.arn = arn
        self._worked: set[str] = set()
        self.is_off = False
        """Whether the last listing said that the stream is switched off: it gets no more records."""

    async def shards(self) -> Sequence[Shard]:
        """All shards that the stream has now.

        Raises:
            GoneError: there is no such stream.
        """
        doing = "listing the shards of the stream"
        found: dict[str, Shard] = {}
        start: dict[str, str] = {}
        for _ in range(_MOST_LISTINGS):
            with self._calling("DescribeStream", doing):
                answer = await self._client.describe_stream(StreamArn=self.arn, **start)
                description = answer["StreamDescription"]
                shards = [_shard_of(each) for each in description["Shards"]]
                last = description.get("LastEvaluatedShardId")
                self.is_off = description.get("StreamStatus") == "DISABLED"
            found.update({shard.id: shard for shard in shards})
            if last is None:
                return list(found.values())
            if not isinstance(last, str) or start.get("ExclusiveStartShardId") == last:
                break
            start = {"ExclusiveStartShardId": last}
        raise TransientError(f"{doing}: the listing does not end")

    async def iterator(self, shard: str, after: str) -> str:
        """An iterator behind a sequence number; empty: at the oldest record that is there.

        Raises:
            TrimmedError, GoneError: there is nothing any more at this place.
        """
        where = {"ShardIteratorType": "TRIM_HORIZON"}
        if after:
            where = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": after}
        with self._calling("GetShardIterator", "getting a shard iterator"):
            answer = await self._client.get_shard_iterator(StreamArn=self.arn, ShardId=shard, **where)
            return _text(answer["ShardIterator"])

    async def page(self, iterator: str) -> Page:
        """The next records.

        Raises:
            IteratorExpiredError: ask for another iterator.
            TrimmedError, GoneError: there is nothing any more at this place.
        """
        with self._calling("GetRecords", "reading the stream"):
            answer = await self._client.get_records(ShardIterator=iterator)
            records = answer["Records"]
            last = _text(records[-1]["dynamodb"]["SequenceNumber"], is_sequence_number) if records else ""
            following = answer.get("NextShardIterator")
            made = records[-1]["dynamodb"].get("ApproximateCreationDateTime") if records else None
            return Page(
                records,
                last,
                None if following is None else _text(following),
                _seconds(made),
            )

    @contextmanager
    def _calling(self, action: str, doing: str) -> Iterator[None]:
        """Translates what a call raises: the codes that mean something here, and `aws_call` all others."""
        try:
            with aws_call(doing):
                yield
        except TransientError as error:
            code = error_code(error.__cause__) if isinstance(error.__cause__, ClientError) else ""
            if code == "AccessDeniedException" and action not in self._worked:
                raise FatalError(
                    f"{doing}: AWS refused it: give the permission dynamodb:{action} on {self.arn}"
                ) from error
            if meaning := _MEANINGS.get(code):
                raise meaning from error
            raise
        self._worked.add(action)


def _seconds(made: object) -> float | None:
    """Seconds since the epoch: botocore makes a datetime of what is a number in the answer."""
    if isinstance(made, datetime):
        return made.timestamp()
    return made if isinstance(made, int | float) else None


def _shard_of(answer: Any) -> Shard:
    parent = answer.get("ParentShardId")
    numbers = answer["SequenceNumberRange"]
    closed = bool(numbers.get("EndingSequenceNumber"))
    return Shard(
        _text(answer["ShardId"], is_shard_id), None if parent is None else _text(parent, is_shard_id), closed
    )


def _text(value: Any, form: Any = bool) -> str:
    """A text that is not empty, in a form.

    Raises:
        TypeError: it is something else, so the answer is an odd one.
    """
    if not isinstance(value, str) or not form(value):
        raise TypeError
    return value
