"""What `follow` says of its tables: while they are copied and followed, and when nothing comes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from follow.view import View

WALL = 1588268842.0


@dataclass
class Stream:
    settled: int = 0
    made: float | None = None
    is_settled: bool = True


@dataclass
class Copy:
    items: int = 0
    before: int = 0
    copied: int = 0


@dataclass
class Table:
    """The figures of a table that is followed."""

    name: str
    copy: Copy = field(default_factory=Copy)
    changes: int = 0
    is_waiting: bool = False
    delivery: Stream | None = field(default_factory=Stream)
    is_copied: asyncio.Event = field(default_factory=asyncio.Event)


def at(view: View, now: float) -> tuple[list[str], str]:
    rows, line = view.look(now, WALL + now)
    return [
        f"{row.what}: {row.text}" + ("" if row.share is None else f" {row.share:.0%}") for row in rows
    ], line


def view_of(*tables: Any) -> View:
    return View(tables)


def test_a_copy() -> None:
    """Its rate is that of this run; more items than DynamoDB has counted are no more than all of it."""
    table = Table("orders", Copy(items=1000, before=200, copied=200))
    view = view_of(table)
    assert at(view, 0) == (["orders: 200 of about 1,000 items 20%"], "orders: 200 of about 1,000 items")
    table.copy.copied = 300
    at(view, 1)
    table.copy.copied = 400
    assert at(view, 2)[0] == ["orders: 400 of about 1,000 items, 200/s, 3 s left 40%"]
    table.copy.copied = 1100
    assert at(view, 10)[0] == ["orders: 1,100 of about 1,000 items, 100/s 100%"]
    table.copy.items = 0
    assert at(view, 10)[0] == ["orders: 1,100 items, 100/s"]  # a share of what is not known is not shown


def test_changes() -> None:
    """The lag is that of what is acknowledged; while nothing is, there is none to tell."""
    table, stream = Table("orders"), Stream()
    table.delivery = None
    view = view_of(table)
    assert at(view, 0)[0] == ["orders: begins"]
    table.delivery = stream
    table.is_copied.set()
    assert at(view, 0.5)[0] == ["orders: 0 changes, nothing new"]
    table.changes, stream.settled, stream.made = 20, 4, WALL - 1
    assert at(view, 2)[0] == ["orders: 20 changes, 10/s, lag 3.0 s"]
    assert at(view, 4)[0] == ["orders: 20 changes, 5/s, lag 3.0 s"]  # it is not one that has grown
    assert at(view, 13)[0] == ["orders: 20 changes, nothing new"]
    table.changes, stream.is_settled = 21, False
    assert at(view, 14)[0] == ["orders: 21 changes, waiting for MongoDB for 10 s or longer"]
    table.is_waiting = True
    assert at(view, 15)[0] == ["orders: waiting for another process to end"]


def test_several_tables() -> None:
    """Those that are not copied come first, then those with the largest lag; one line sums them up."""
    tables = [Table(name) for name in "abc"]
    for each in tables[:2]:
        each.is_copied.set()
    view = view_of(*tables)
    at(view, 0)
    tables[1].changes, tables[1].delivery = 7, Stream(1, WALL - 60)
    tables[2].copy.copied = 5
    rows, line = at(view, 1)
    assert [row[0] for row in rows] == ["c", "b", "a"]
    assert line == "3 tables, 1 of them not copied yet (5 items are), 7 changes/s, lag up to 61 s"
