"""The checks of the fault suite work: they find each kind of damage, and accept what is correct."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pymongo
import pytest
from bson.int64 import Int64

from local.polling import wait_until
from tests.faults.stream_poller import as_in_lambda
from tests.faults.watch import Timeline, Watch
from tests.support.oracle import compare

if TYPE_CHECKING:
    from local.stack import Stack

ITEM = {"id": {"N": "1"}, "n": {"N": "1.5"}, "_id": {"S": "theirs"}}
DOCUMENT = {"_id": 1, "id": 1, "n": 1.5, "_id_": "theirs", "_ddb": {"v": "v", "renamed": {"_id_": "_id"}}}


def test_a_right_past() -> None:
    """Created, replaced, deleted, created again: no complaint."""
    timeline = Timeline()
    timeline.wrote("items", 1, "1", inserted=True)
    timeline.wrote("items", 1, "2", inserted=False)
    timeline.buried("items", 1, "3")
    timeline.deleted("items", 1)
    timeline.wrote("items", 1, "4", inserted=True)
    assert (timeline.violations, timeline.stale_inserts, timeline.back()) == ([], [], [])
    assert timeline.events == 4


def test_a_document_that_goes_back() -> None:
    """Neither an older version nor the same one may replace a document, or come after its delete."""
    for version in ("1", "2"):
        timeline = Timeline()
        timeline.wrote("items", 1, "2", inserted=True)
        timeline.wrote("items", 1, version, inserted=False)
        assert len(timeline.violations) == 1
    timeline = Timeline()
    timeline.buried("items", 1, "2")
    timeline.wrote("items", 1, "3", inserted=True)
    timeline.deleted("items", 1)  # no tombstone rules out the next one
    timeline.wrote("items", 1, "3", inserted=True)
    assert len(timeline.violations) == 2


def test_a_tombstone_that_goes_back() -> None:
    """The higher version must win."""
    timeline = Timeline()
    timeline.buried("items", 1, "2")
    timeline.buried("items", 1, "1")
    assert len(timeline.violations) == 1


def test_a_deleted_document_that_comes_back() -> None:
    """It is reported, and whether it stayed."""
    timeline = Timeline()
    timeline.buried("items", 1, "2")
    timeline.wrote("items", 1, "1", inserted=True)
    assert timeline.violations == []
    assert len(timeline.stale_inserts) == len(timeline.back()) == 1
    timeline.deleted("items", 1)
    assert timeline.back() == []
    assert timeline.violations == []


def test_the_watch_sees_versions(stack: Stack, database: str) -> None:
    """Whatever kind of write it was: the version that it wrote, or that it left as it was."""
    watch = Watch(stack.mongodb_uri, database, ["items"])
    with contextlib.closing(watch), pymongo.MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
        items = client[database]["items"]
        items.insert_one({"_id": 1, "n": 1, "_ddb": {"v": "2"}})
        items.update_one({"_id": 1}, [{"$replaceWith": {"_id": 1, "n": 2, "_ddb": {"v": "3"}}}])
        watch.mark()
        wait_until(lambda: not watch.step() and watch.at_mark(), what="the change stream")
        assert watch.timeline.violations == []
        items.update_one({"_id": 1}, {"$set": {"n": 3}})
        items.update_one({"_id": 1}, [{"$replaceWith": {"_id": 1, "n": 2, "_ddb": {"v": "1"}}}])
        items.replace_one({"_id": 1}, {"n": 2, "_ddb": {"v": "1"}, "more": 1})
        items.delete_one({"_id": 1})
        watch.mark()
        wait_until(lambda: not watch.step() and watch.at_mark(), what="the change stream")
    assert len(watch.timeline.violations) == 4


@pytest.mark.parametrize(
    ("documents", "found"),
    [
        ([DOCUMENT], (1, 0, 0, 0)),
        ([], (0, 1, 0, 0)),
        ([{**DOCUMENT, "n": 1.25}], (0, 0, 1, 0)),
        ([{**DOCUMENT, "id": 1.0}], (0, 0, 1, 0)),
        ([{**DOCUMENT, "id": Int64(1)}], (0, 0, 1, 0)),
        ([{**DOCUMENT, "_ddb": {"v": "v"}}], (0, 0, 1, 0)),
        ([{name: value for name, value in DOCUMENT.items() if name != "_ddb"}], (0, 0, 1, 0)),
        ([DOCUMENT, {"_id": 2, "id": 2}], (1, 0, 0, 1)),
    ],
    ids=[
        "right",
        "missing",
        "another value",
        "another type",
        "another width",
        "a renaming not told",
        "no metadata",
        "extra",
    ],
)
def test_comparison(documents: list[dict[str, Any]], found: tuple[int, ...]) -> None:
    """Missing, different and extra documents are distinguished; types count."""
    result = compare([ITEM], documents, ["id"])
    assert (result.equal, len(result.missing), len(result.different), len(result.extra)) == found
    assert result.is_same == (found == (1, 0, 0, 0))


def test_records_as_lambda_gets_them() -> None:
    """Binary values as text at every depth, times in seconds, the identity in lower case."""
    image = {"id": {"N": "1"}, "m": {"M": {"l": {"L": [{"B": b"a"}, {"BS": [b"b"]}]}}}}
    record = {
        "eventName": "REMOVE",
        "userIdentity": {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"},
        "dynamodb": {
            "Keys": {"id": {"B": b"k"}},
            "OldImage": image,
            "SequenceNumber": "1",
            "ApproximateCreationDateTime": datetime(2026, 1, 1, tzinfo=UTC),
        },
    }
    assert as_in_lambda(record, "arn") == {
        "eventName": "REMOVE",
        "eventSourceARN": "arn",
        "userIdentity": {"type": "Service", "principalId": "dynamodb.amazonaws.com"},
        "dynamodb": {
            "Keys": {"id": {"B": "aw=="}},
            "OldImage": {"id": {"N": "1"}, "m": {"M": {"l": {"L": [{"B": "YQ=="}, {"BS": ["Yg=="]}]}}}},
            "SequenceNumber": "1",
            "ApproximateCreationDateTime": 1767225600.0,
        },
    }
