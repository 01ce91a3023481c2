"""`cost`: what a million changes cost in requests, invocations and dollars. Counted, not timed.

Nothing is measured, so the result is the same on every machine: synthetic events go through the producer's
own packing, and the output is counted. `ABOUT` describes the model.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from bench import log_bytes
from bench.report import Result, Table
from bench.sized import EVENT_LIMIT, event
from producer_lambda.packing import pack, waves
from producer_lambda.records import Parsed, Records
from shared.batches import batches
from writer.sqs.inbox import WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ABOUT = """\
Per million changes of distinct items, modified with their old images in the stream. Counted by running the
producer's own packing; the rest is this model:

- *Billing.* SQS bills each call, and of a call each started 64 KB of payload, as one request. The payload of
  a batch call is the sum of its messages.
- *Send.* The batch calls that the Lambda makes.
- *Receive, delete.* A call receives 10 messages, or as many as come to 1 MiB, and one call deletes them.
  "At worst" each call receives one message only, as a writer may that waits at an empty queue.
- *Empty receives.* One writer with the default `POOL_SIZE` has 8 loops; each asks again after 5 seconds
  without a message. So there are at most 1.6 a second, less the calls that receive something, and that is
  not taken off.
- *Events.* Lambda looks at each shard four times a second, or collects for the batching window, until it has
  `BatchSize` records or 6 MB. A shard takes 1,000 writes of 1 KB a second, so a rate has at least as many
  shards as that asks for, all equally busy.
- *Not counted.* Extending the visibility of messages (only batches that take long), retries, dead letters,
  reading the queues' attributes (twice a cold start), data transfer, free tiers, what the writer runs on,
  MongoDB.
- *Logs.* What both sides write at `LOG_LEVEL=INFO`, by their own code, with the metrics in it and the 26
  bytes that CloudWatch Logs adds to a line: a line an invocation, a line a minute and writer. Warnings and
  what Lambda itself logs are not in it. They are not in the dollars of the other tables.

Lambda's duration is an input, not a result: 20 ms an invocation and 60 µs a record, which is about what
`producer` found, on the 0.29 processors that 512 MB come with. Prices are inputs, too: the table at the end
says where they are from. Replace them by those of your region and contract.\
"""

MILLION = 1_000_000
CHUNK = 64 * 1024
"""Bytes of payload that are billed as one request."""

CALL_LIMIT = 1024 * 1024
DEFAULT_LANES = 64
LOOPS = 8  # twice the default POOL_SIZE
MEMORY = 0.5  # GB, as in deploy/pipeline.yaml
SECONDS_PER_INVOCATION, SECONDS_PER_RECORD = 0.020, 60e-6
LOOKS_PER_SECOND = 4
WRITES_PER_SHARD = 1_000
SECONDS_PER_MONTH = 30 * 24 * 3600

_EVENTS = 3  # with different lanes; the result is their mean
_SIZES = (250, 1_000, 10_000)


@dataclass(frozen=True, slots=True)
class Price:
    """What a million of something costs."""

    of: str
    usd: float
    source: str


SQS_REQUESTS = Price(
    "million requests of a FIFO queue",
    0.50,
    "aws.amazon.com/sqs/pricing, us-east-1, first tier, as quoted by others in March and June 2026",
)
LAMBDA_REQUESTS = Price(
    "million invocations",
    0.20,
    "aws.amazon.com/lambda/pricing, us-east-1, as quoted by others in September 2026",
)
LAMBDA_SECONDS = Price(
    "million GB-seconds, x86",
    16.6667,
    "aws.amazon.com/lambda/pricing, us-east-1, first tier, as quoted by others in 2026",
)
STREAM_READS = Price(
    "million reads of a stream by Lambda", 0.0, "aws.amazon.com/dynamodb/pricing: not billed for triggers"
)
LOGS = Price(
    "GB of logs",
    0.50,
    "aws.amazon.com/cloudwatch/pricing, us-east-1, standard class, as quoted by others in 2026",
)
PRICES = (SQS_REQUESTS, LAMBDA_REQUESTS, LAMBDA_SECONDS, STREAM_READS, LOGS)


@dataclass(frozen=True, slots=True)
class Requests:
    """What some changes cost in billed requests of SQS.

    Attributes:
        messages: the messages that carry the changes.
        at_worst: all requests if each message is received alone.
    """

    messages: float
    send: float
    receive: float
    delete: float
    at_worst: float

    @property
    def all(self) -> float:
        """Send, receive and delete."""
        return self.send + self.receive + self.delete

    def per_million(self, changes: float) -> Requests:
        """The requests of a million changes, if these are those of `changes`."""
        factor = MILLION / changes
        return Requests(*(value * factor for value in asdict(self).values()))


def billed(sizes: Sequence[int]) -> int:
    """How many requests are billed for a call with messages of these sizes."""
    return max(1, math.ceil(sum(sizes) / CHUNK))


def count(changes: Sequence[Parsed], lanes: int) -> Requests:
    """The requests of one event, after the producer's own packing."""
    messages, unsendable = pack(changes, lanes, CALL_LIMIT)
    if unsendable:
        raise ValueError(f"the benchmark's own changes cannot be sent: {unsendable[0].reason}")
    calls = [[message.size for message in call] for wave in waves(messages, CALL_LIMIT) for call in wave]
    in_order = [size for call in calls for size in call]
    received = list(batches(in_order, lambda size: size, CALL_LIMIT))
    send = sum(map(billed, calls))
    return Requests(
        messages=len(messages),
        send=send,
        receive=sum(map(billed, received)),
        delete=len(received),
        at_worst=send + sum(billed([size]) for size in in_order) + len(in_order),
    )


@cache
def per_million(records: int, size: int, lanes: int) -> Requests:
    """The mean of several events, per million changes."""
    found = [count(changes, lanes) for changes in _events(records, size)]
    values = zip(*(asdict(each).values() for each in found), strict=True)
    return Requests(*map(sum, values)).per_million(records * len(found))


def _events(records: int, size: int) -> Iterator[Sequence[Parsed]]:
    for number in range(_EVENTS):
        yield list(Records(event(records, size, first=1_000 + number * records)))


@cache
def most_records(size: int) -> int:
    """How many records of items of this size fit into an event."""
    (record,) = event(1, size, first=MILLION)["Records"]
    return EVENT_LIMIT // len(json.dumps(record, separators=(",", ":")))


def shards(rate: float, size: int) -> int:
    """The minimum of shards for a table with so many writes per second."""
    return max(1, math.ceil(rate * math.ceil(size / 1024) / WRITES_PER_SHARD))


def records_per_event(rate: float, size: int, batch_size: int, window: float) -> int:
    """How many records an invocation gets at this rate, rounded."""
    waiting = rate / shards(rate, size) * max(window, 1 / LOOKS_PER_SECOND)
    return max(1, min(batch_size, most_records(size), round(waiting)))


def empty_receives(rate: float) -> float:
    """The most empty receives of one writer in the time of a million changes."""
    return LOOPS / WAIT_SECONDS * MILLION / rate


def gigabyte_seconds(records: int) -> float:
    """The GB-seconds that Lambda bills for a million changes."""
    return MILLION / records * (SECONDS_PER_INVOCATION + records * SECONDS_PER_RECORD) * MEMORY


def dollars(requests: float, records: int) -> dict[str, float]:
    """The price of a million changes."""
    sqs = requests / MILLION * SQS_REQUESTS.usd
    invocations = LAMBDA_REQUESTS.usd / records
    seconds = gigabyte_seconds(records) / MILLION * LAMBDA_SECONDS.usd
    return {"sqs": sqs, "lambda": invocations + seconds, "all": sqs + invocations + seconds}


def run(_: int) -> Result:
    """Counts; there are no rounds."""
    figures = {
        "full batches": [
            _counted(min(records, most_records(size)), size, DEFAULT_LANES)
            for size in _SIZES
            for records in (100, 1_000, 10_000)
            if records <= 1_000 or most_records(size) > 1_000
        ],
        "lanes": [_counted(1_000, 250, lanes) for lanes in (1, 16, 64, 256, 1_024, 0)],
        "rates": [
            _at_rate(rate, 1_000, size, window)
            for size in (250, 1_000)
            for rate in (1, 10, 100, 1_000, 10_000)
            for window in (0, 1, 5)
        ],
        "logs": [
            _logged(f"Lambda, {records:,} records an event", log_bytes.invocation(records), MILLION / records)
            for records in (1, 10, 100, 1_000)
        ]
        + [_logged("a writer, in a month", log_bytes.minute(MILLION), log_bytes.MINUTES_PER_MONTH)],
        "prices": [asdict(price) for price in PRICES],
    }
    return Result("cost", ABOUT, _tables(figures), figures, {"lanes": DEFAULT_LANES, "chunk": CHUNK})


def _counted(records: int, size: int, lanes: int) -> dict[str, Any]:
    requests = per_million(records, size, lanes)
    whole = {name: round(value) for name, value in asdict(requests).items()}
    return {
        "item": size,
        "records": records,
        "lanes": lanes,
        **whole,
        "all": round(requests.all),
        "invocations": round(MILLION / records),
        "dollars": _rounded(dollars(requests.all, records)),
    }


def _at_rate(rate: int, batch_size: int, size: int, window: int) -> dict[str, Any]:
    records = records_per_event(rate, size, batch_size, window)
    counted = _counted(records, size, DEFAULT_LANES)
    empty = empty_receives(rate)
    usd = dollars(per_million(records, size, DEFAULT_LANES).all + empty, records)
    month = usd["all"] * rate * SECONDS_PER_MONTH / MILLION
    facts = {"rate": rate, "window": window, "shards": shards(rate, size), "empty receives": round(empty)}
    return facts | counted | {"dollars": _rounded(usd), "dollars a month": round(month, 2)}


def _logged(of: str, line: int, lines: float) -> dict[str, Any]:
    total = line * lines
    return {
        "of": of,
        "bytes": line,
        "lines": round(lines),
        "MB": round(total / 1e6, 2),
        "dollars": round(total / 1e9 * LOGS.usd, 4),
    }


def _rounded(usd: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in usd.items()}


def _tables(figures: dict[str, Any]) -> Sequence[Table]:
    columns = ("messages", "send", "receive", "delete", "all", "at_worst")
    headings = ("messages", "send", "receive", "delete", "all requests", "at worst")
    return [
        Table(
            "SQS requests, per million changes",
            ("bytes of an item", "records an event", *headings, "USD, with Lambda"),
            [
                [
                    f"{row['item']:,}",
                    f"{row['records']:,}",
                    *(f"{row[column]:,}" for column in columns),
                    f"{row['dollars']['all']:.3f}",
                ]
                for row in figures["full batches"]
            ],
        ),
        Table(
            "Lanes: 1,000 records an event, items of 250 bytes",
            ("LANES", *headings),
            [
                [str(row["lanes"] or "0: one per key"), *(f"{row[column]:,}" for column in columns)]
                for row in figures["lanes"]
            ],
        ),
        *(_rates(size, [row for row in figures["rates"] if row["item"] == size]) for size in (250, 1_000)),
        Table(
            "Logs, for each million changes, and of a writer",
            ("of", "bytes of a line", "lines", "MB", "USD"),
            [
                [
                    row["of"],
                    f"{row['bytes']:,}",
                    f"{row['lines']:,}",
                    f"{row['MB']:,}",
                    f"{row['dollars']:.4f}",
                ]
                for row in figures["logs"]
            ],
        ),
        Table(
            "Prices",
            ("a", "USD", "source"),
            [[price["of"], f"{price['usd']:g}", price["source"]] for price in figures["prices"]],
        ),
    ]


def _rates(size: int, rows: Sequence[dict[str, Any]]) -> Table:
    return Table(
        f"Arrival rates: items of {size:,} bytes, BatchSize 1,000, one writer",
        (
            "changes a second",
            "BatchWindow",
            "shards",
            "records an event",
            "invocations",
            "SQS requests",
            "empty receives",
            "USD a million",
            "USD a month",
        ),
        [
            [
                f"{row['rate']:,}",
                f"{row['window']} s",
                str(row["shards"]),
                f"{row['records']:,}",
                f"{row['invocations']:,}",
                f"{row['all']:,}",
                f"{row['empty receives']:,}",
                f"{row['dollars']['all']:.3f}",
                f"{row['dollars a month']:,.2f}",
            ]
            for row in rows
        ],
    )
