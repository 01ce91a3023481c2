"""The pure parts of the benchmarks `producer` and `cost`: events, figures, what is counted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import orjson
import pytest

from bench import cost, log_bytes, producer
from bench.__main__ import main
from bench.sized import EVENT_LIMIT, event, item_of
from bench.sqs_endpoint import Sent
from local.paths import ROOT
from producer_lambda.records import Parsed, Records
from shared.attribute_values import encode_item

if TYPE_CHECKING:
    from pathlib import Path

COMMITTED = ROOT / "bench" / "results" / "cost.json"
KIB = 1024


def parsed(records: int, size: int = 250, *, hot: bool = False) -> list[Parsed]:
    return list(Records(event(records, size, hot=hot)))


@pytest.mark.parametrize("size", [250, 1_000, 10_000])
def test_items_of_a_size(size: int) -> None:
    """An item of 250 bytes has 250 bytes in a message, whatever its number."""
    for number in (1, 1_000, 99_999):
        assert len(orjson.dumps(encode_item(item_of(number, size))[0])) == size


def test_an_item_has_a_least_size() -> None:
    """An impossible size is an error, not another size."""
    with pytest.raises(ValueError, match="at least"):
        item_of(1, 100)


def test_keys_of_an_event() -> None:
    """Distinct keys are distinct; with a hot key, every second record has it."""
    assert len({record.key for record in parsed(100)}) == 100
    keys = [record.key for record in parsed(100, hot=True)]
    assert len(set(keys)) == 51
    assert len(set(keys[1::2])) == 1


def test_what_a_process_found() -> None:
    """Packing and sending are differences between steps, in microseconds per record."""
    found = [
        {"warm": [{"all in": 9e-6, "parse": 2e-6, "parse and pack": 5e-6, "reading": 1e-6}]},
        {"warm": [{"all in": 12e-6, "parse": 2e-6, "parse and pack": 6e-6, "reading": 1e-6}]},
    ]
    medians = {name: figures["median"] for name, figures in producer.warm(found, 0).items()}
    assert medians == {"all in": 10.5, "parse": 2.0, "pack": 3.5, "send": 5.0, "reading": 1.0}


def test_cold_start_is_the_sum_of_its_phases() -> None:
    """Elapsed and CPU time, in milliseconds, of each phase and of all."""
    found = [{"cold": {"imports": [0.3, 0.2], "client": [0.05, 0.04], "first send": [0.02, 0.01]}}]
    medians = {name: (f["elapsed"]["median"], f["cpu"]["median"]) for name, f in producer.cold(found).items()}
    assert medians["imports"] == (300.0, 200.0)
    assert medians["all"] == (370.0, 250.0)


def test_counts_per_thousand() -> None:
    """An event of any size is reported per 1,000 changes."""
    counted = producer.counts(100, Sent(requests=6, messages=56, size=42_000, largest=1_200))
    assert (counted["messages per 1000"], counted["requests per 1000"]) == (560, 60)
    assert counted["bytes per message"] == 750


@pytest.mark.parametrize(
    ("sizes", "requests"),
    [([1], 1), ([64 * KIB], 1), ([64 * KIB + 1], 2), ([32 * KIB, 33 * KIB], 2), ([240 * KIB] * 4, 15)],
)
def test_each_chunk_is_a_request(sizes: list[int], requests: int) -> None:
    """A call is billed by its payload, which is the sum of its messages."""
    assert cost.billed(sizes) == requests


def test_requests_of_an_event() -> None:
    """Counted by hand: one lane of 40 changes makes one message, sent, received and deleted once."""
    assert cost.count(parsed(40), 1) == cost.Requests(messages=1, send=1, receive=1, delete=1, at_worst=3)
    large = cost.count(parsed(40, 10_000), 1)  # 406 KB: two messages, one after the other
    assert large == cost.Requests(messages=2, send=7, receive=7, delete=1, at_worst=16)
    assert cost.count(parsed(40), 0) == cost.Requests(messages=40, send=4, receive=4, delete=4, at_worst=84)


def test_per_million() -> None:
    """All figures are for a million changes."""
    assert cost.Requests(1, 2, 3, 4, 5).per_million(1_000) == cost.Requests(1e3, 2e3, 3e3, 4e3, 5e3)


@pytest.mark.parametrize(
    ("rate", "size", "batch_size", "window", "records"),
    [
        (1, 250, 1_000, 0, 1),  # at least one
        (100, 250, 1_000, 0, 25),  # a quarter of a second
        (100, 250, 1_000, 5, 500),
        (10_000, 250, 1_000, 5, 1_000),  # the batch size
        (10_000, 250, 10_000, 0.5, 500),  # ten shards
        (100, 10_000, 1_000, 60, 305),  # 6 MB
    ],
)
def test_records_of_an_invocation(
    rate: float, size: int, batch_size: int, window: float, records: int
) -> None:
    """The records of Lambda's waiting time, up to the batch size and the size limit of an event."""
    assert cost.records_per_event(rate, size, batch_size, window) == records


def test_an_event_fits() -> None:
    """The most records of a size have nearly 6 MB of JSON, and no more."""
    most = cost.most_records(10_000)
    assert len(orjson.dumps(event(most, 10_000))) <= EVENT_LIMIT < len(orjson.dumps(event(most + 2, 10_000)))


def test_dollars() -> None:
    """Counted by hand: half a dollar for a million requests, 20 cents for a million invocations."""
    usd = cost.dollars(1_000_000, 1_000)
    assert usd["sqs"] == 0.5
    assert usd["lambda"] == pytest.approx(0.0002 + (20 + 60) / 2 * 16.6667e-6)
    assert usd["all"] == usd["sqs"] + usd["lambda"]


def test_an_idle_writer_asks() -> None:
    """Eight loops that ask every five seconds: 1.6 requests a second, whatever comes."""
    assert cost.empty_receives(1) == 1_600_000
    assert cost.empty_receives(10_000) == 160


def test_what_is_logged() -> None:
    """Less than a MB for a million changes at 1,000 records an event; those of a writer follow the clock.

    The bounds are a tenth above what is written today: more is a choice, not an accident.
    """
    assert 1_000 * log_bytes.invocation(1_000) <= 950_000
    assert log_bytes.invocation(1) <= 940
    assert log_bytes.minute(1_000_000) <= log_bytes.minute(1) + 40
    assert log_bytes.minute(1_000_000) * log_bytes.MINUTES_PER_MONTH <= 55_000_000


def test_cost_is_the_same_in_every_run(tmp_path: Path) -> None:
    """It is counted, not measured: the committed figures are those of this code."""
    assert main(["cost", "--json", str(tmp_path / "cost.json")]) == 0
    found = json.loads((tmp_path / "cost.json").read_text())["figures"]
    committed = json.loads(COMMITTED.read_text(encoding="utf-8"))["figures"]
    assert found == committed
