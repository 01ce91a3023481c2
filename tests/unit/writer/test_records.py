"""What is read of the writers' records: nothing that no writer wrote."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from bson import Code, ObjectId
from bson.datetime_ms import DatetimeMS

from writer.records import mappings_in, writers_in

AT = datetime(2026, 3, 1, tzinfo=UTC)
MAPPING: dict[str, Any] = {
    "_id": {"queue": "http://q/1/q.fifo", "table": "orders"},
    "hash": "0123456789abcdef",
    "rules": '{"collection":"orders","database":"shop"}',
    "version": "1.2",
    "since": AT,
    "started": AT,
    "writer": "a",
}
WRITER: dict[str, Any] = {
    "_id": "a",
    "queue": "http://q/1/q.fifo",
    "host": "ip-10-0-0-1",
    "status_url": "http://10.0.0.1:8080",
    "local_url": "http://127.0.0.1:8080",
    "version": "",
    "started": AT,
    "seen": AT.replace(tzinfo=None),
}
ODD: list[Any] = [
    None,
    1,
    math.nan,
    "",
    "a\x1b[31m",
    "a\nb",
    "x" * 3000,
    [],
    {},
    Code("x"),
    ObjectId(),
    b"x",
    DatetimeMS(2**60),
]


def test_records_are_read_as_they_were_written() -> None:
    """With everything else that a later version may add."""
    (mapping,) = mappings_in([MAPPING | {"later": 1}]).records
    assert (mapping.table, mapping.namespace, mapping.since) == ("orders", "shop.orders", AT)
    (writer,) = writers_in([WRITER]).records
    assert writer.seen == AT


@pytest.mark.parametrize("name", MAPPING)
def test_an_odd_mapping_is_counted_and_left_out(name: str) -> None:
    """Whatever stands in one field; the others are read."""
    odd = [MAPPING | {name: value} for value in ODD if not (name == "version" and value == "")]
    odd.append({key: value for key, value in MAPPING.items() if key != name})
    found = mappings_in([*odd, MAPPING, None, 3])
    assert (len(found.records), found.odd) == (1, len(odd) + 2)


@pytest.mark.parametrize("name", WRITER)
def test_an_odd_writer_is_counted_and_left_out(name: str) -> None:
    """A URL that leads elsewhere than to a host and port is none."""
    odd = [WRITER | {name: value} for value in ODD if value is not None or "url" not in name]
    odd = [each for each in odd if not (name == "version" and each[name] == "")]
    if "url" in name:
        wrong = ["https://a:1", "http://a", "http://u@a:1", "http://a:1/x", "file:///a", "http://a:1\n"]
        odd += [WRITER | {name: value} for value in wrong]
    found = writers_in([*odd, WRITER])
    assert (len(found.records), found.odd) == (1, len(odd))


@pytest.mark.parametrize("rules", ["", "[]", "1", "{", "[" * 100_000, "NaN"])
def test_rules_that_are_no_object_are_odd(rules: str) -> None:
    assert mappings_in([MAPPING | {"rules": rules}]).odd == 1


def test_a_writer_is_asked_where_it_can_be_reached() -> None:
    """What listens on the loopback only is reached from its own machine only."""
    (writer,) = writers_in([WRITER | {"status_url": None}]).records
    assert writer.url_from("ip-10-0-0-1") == "http://127.0.0.1:8080"
    assert writer.url_from("elsewhere") is None
    (writer,) = writers_in([WRITER]).records
    assert writer.url_from("elsewhere") == "http://10.0.0.1:8080"
