"""Hooks: which functions are taken, what they may do, and what parks the record."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from bson import decode
from bson.decimal128 import Decimal128

from shared.errors import PoisonError
from tests.support.builders import put
from writer.mapping.document import Image, image_of, locate
from writer.mapping.hooks import load_hooks
from writer.mapping.parser import parse_replication
from writer.mapping.problems import MappingError
from writer.mapping.rules import Rules

if TYPE_CHECKING:
    from pathlib import Path

    from shared.change import Change

MODULE = """
import functools

def good(document, change): return {**document, "by": change.table}
def none(document, change): return None
def other(document, change): return {"x": 1}
def mutates(document, change):
    document["deep"]["list"].append("mine")
    document.clear()
    return document
def raises(document, change): raise KeyError("last")
def exits(document, change): raise SystemExit(3)
def cancels(document, change):
    import asyncio
    raise asyncio.CancelledError
class Panic(BaseException): pass
def panics(document, change): raise Panic("no exception")
class Untold(Exception):
    def __str__(self): raise ValueError
def untold(document, change): raise Untold
def a_text(document, change): return "document"
def a_list(document, change): return [document]
def with_id(document, change): return {"_id": 5}
def with_metadata(document, change): return {"_ddb": {}}
def odd_names(document, change): return {1: 2}
def not_bson(document, change): return {"x": {1, 2}}
def optional(document, change=None, *, more=None): return document
async def is_async(document, change): return document
def too_few(document): return document
def too_many(document, change, more): return document
def by_name(*, document, change): return document
class Callable:
    def __call__(self, document, change): return {"callable": True}
an_object = Callable()
partial = functools.partial(lambda number, document, change: {"number": number}, 5)
text = "text"
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hooks_of_a_test.py").write_text(MODULE)
    (tmp_path / "broken_hooks_of_a_test.py").write_text("import nothing_of_that_name")
    (tmp_path / "exiting_hooks_of_a_test.py").write_text("raise SystemExit(1)")
    (tmp_path / "wrong_hooks_of_a_test.py").write_text("def (")
    monkeypatch.syspath_prepend(tmp_path)


def image(name: str, change: Change, **settings: Any) -> Image | None:
    rules = {"hook": f"hooks_of_a_test:{name}", **settings}
    replication = parse_replication(f"tables: {{mytable: {rules}}}", "")
    table = Rules(replication, load_hooks(replication)).table("mytable")
    return image_of(table, change, locate(table, change))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("good", {"id": 1, "a": 2, "by": "mytable"}),
        ("other", {"x": 1}),
        ("optional", {"id": 1, "a": 2}),
        ("an_object", {"callable": True}),
        ("partial", {"number": 5}),
    ],
)
def test_what_a_hook_returns_is_written(name: str, expected: dict[str, Any]) -> None:
    """Between `_id` and metadata."""
    change = put(1, a=2)
    made = image(name, change)
    assert made is not None
    assert decode(made.document) == {"_id": 1, **expected, "_ddb": {"v": change.version}}


def test_none_is_no_document() -> None:
    """The item is not replicated."""
    assert image("none", put(1)) is None


def test_a_hook_sees_what_the_rules_made() -> None:
    """It has the last word, after renaming; reserved names are free."""
    change = put(1, a=1, _id=2, n={"$n": "12345678901234567890"})
    made = image("good", change, fields={"a": {"rename": "b"}})
    assert made is not None
    assert decode(made.document) == {
        "_id": 1,
        "id": 1,
        "n": Decimal128("12345678901234567890"),
        "b": 1,
        "_id_": 2,
        "by": "mytable",
        "_ddb": {"v": change.version, "renamed": {"_id_": "_id"}},
    }


def test_what_a_hook_does_to_the_document_does_not_reach_the_change() -> None:
    """Which may be planned again, or parked as it came."""
    change = put(1, deep={"list": [1]})._replace(tagged=False)  # so its values are used as they are
    before = copy.deepcopy(change)
    assert image("mutates", change) is not None
    assert change == before


def test_merging_writes_the_fields_of_the_hook() -> None:
    """Their names are those that replication has written."""
    made = image("other", put(1), mode="merge")
    assert made is not None
    assert made.merge is not None
    assert made.merge.names == ["x"]


@pytest.mark.parametrize(
    ("name", "code", "reason"),
    [
        ("raises", "hook-failed", "the hook raised KeyError: 'last'"),
        ("exits", "hook-failed", "the hook raised SystemExit: 3"),
        ("cancels", "hook-failed", "the hook raised CancelledError"),
        ("panics", "hook-failed", "the hook raised Panic: no exception"),
        ("untold", "hook-failed", "the hook raised Untold"),
        ("a_text", "hook-failed", "the hook returned a str, not a document or None"),
        ("a_list", "hook-failed", "the hook returned a list, not a document or None"),
        ("odd_names", "hook-failed", "the hook returned a document with a name that is no text"),
        ("with_id", "hook-failed", "the hook returned an _id: that is made of the item's key"),
        ("with_metadata", "hook-failed", "the hook returned a field '_ddb': reserved"),
        ("not_bson", "not-bson", "BSON cannot hold the item"),
    ],
)
def test_what_parks_the_record(name: str, code: str, reason: str) -> None:
    """It alone: the writer goes on."""
    with pytest.raises(PoisonError) as caught:
        image(name, put(1))
    assert caught.value.code == code
    assert caught.value.reason.startswith(reason)


@pytest.mark.parametrize(
    ("hook", "why"),
    [
        ("nothing_of_that_name:f", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("broken_hooks_of_a_test:f", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("exiting_hooks_of_a_test:f", "SystemExit: 1"),
        ("wrong_hooks_of_a_test:f", "SyntaxError: "),
        ("hooks_of_a_test:nothing", "the module has no function nothing"),
        ("hooks_of_a_test:text", "the module has no function text"),
        ("hooks_of_a_test:is_async", "it is async; a hook computes, it does not wait"),
        ("hooks_of_a_test:too_few", "it is not called with a document and a change: too many"),
        ("hooks_of_a_test:too_many", "it is not called with a document and a change: missing"),
        ("hooks_of_a_test:by_name", "it is not called with a document and a change: "),
    ],
)
def test_what_is_no_hook(hook: str, why: str) -> None:
    """Said at the start, with its place."""
    with pytest.raises(MappingError) as caught:
        load_hooks(parse_replication(f"tables: {{a: {{hook: '{hook}'}}, b: {{}}}}", ""))
    (mistake,) = map(str, caught.value.mistakes)
    assert mistake.startswith(f"tables.a.hook: {hook}: {why}")


def test_all_wrong_hooks_are_named() -> None:
    """The first does not hide the second."""
    text = (
        "tables: {a: {hook: 'x_y_z:f'}, b: {hook: 'hooks_of_a_test:good'}, c: {hook: 'hooks_of_a_test:text'}}"
    )
    with pytest.raises(MappingError) as caught:
        load_hooks(parse_replication(text, ""))
    assert [mistake.setting for mistake in caught.value.mistakes] == ["tables.a.hook", "tables.c.hook"]


def test_tables_can_share_a_hook() -> None:
    """There is one function, however many tables name it; if it is wrong, each is named."""
    text = "tables: {{a: &a {{hook: 'hooks_of_a_test:{}'}}, b: *a, c: {{}}}}"
    assert list(load_hooks(parse_replication(text.format("good"), ""))) == ["hooks_of_a_test:good"]
    with pytest.raises(MappingError) as caught:
        load_hooks(parse_replication(text.format("text"), ""))
    assert [mistake.setting for mistake in caught.value.mistakes] == ["tables.a.hook", "tables.b.hook"]
