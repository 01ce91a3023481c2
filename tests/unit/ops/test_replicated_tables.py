"""Which tables a pipeline replicates: found in its event source mappings, or not known; never guessed."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from ops.console.exit_status import CommandError
from ops.pipeline import UnknownTablesError, replicated_tables


def stream(table: str) -> dict[str, Any]:
    arn = f"arn:aws:dynamodb:us-east-1:123456789012:table/{table}/stream/2026-01-01T00:00:00.000"
    return {"EventSourceArn": arn, "State": "Enabled"}


QUEUE = {"EventSourceArn": "arn:aws:sqs:us-east-1:123456789012:table/not-a-table/stream/x"}
KAFKA: dict[str, Any] = {"SelfManagedEventSource": {"Endpoints": {}}}


class Lambda:
    """Answers each request with the next page."""

    def __init__(self, *pages: Any) -> None:
        self.pages = list(pages)
        self.asked: list[dict[str, Any]] = []

    @property
    def functions(self) -> Lambda:
        return self

    def list_event_source_mappings(self, **request: Any) -> Any:
        self.asked.append(dict(request))
        page = self.pages.pop(0)
        if isinstance(page, Exception):
            raise page
        return page


def tables_of(aws: Any) -> list[str]:
    return replicated_tables(aws, "f")


def test_all_pages_are_read() -> None:
    """Other services' mappings are none of ours; a table with two streams is one table."""
    aws = Lambda(
        {"EventSourceMappings": [stream("b"), QUEUE], "NextMarker": "2"},
        {"EventSourceMappings": [], "NextMarker": "3"},
        {"EventSourceMappings": [stream("a"), KAFKA, stream("b")]},
    )
    assert tables_of(aws) == ["a", "b"]
    assert aws.asked == [
        {"FunctionName": "f"}, {"FunctionName": "f", "Marker": "2"}, {"FunctionName": "f", "Marker": "3"}
    ]  # fmt: skip
    assert tables_of(Lambda({"EventSourceMappings": []})) == []


@pytest.mark.parametrize(
    "page",
    [
        {},
        None,
        [],
        "x",
        {"EventSourceMappings": None},
        {"EventSourceMappings": [None]},
        {"EventSourceMappings": [{}]},
        {"EventSourceMappings": [{"EventSourceArn": 5}]},
        {"EventSourceMappings": [{"EventSourceArn": "people"}]},
        {"EventSourceMappings": [{"EventSourceArn": "arn:aws:dynamodb:us-east-1:1:table/people"}]},
        {"EventSourceMappings": [stream("")]},
        {"EventSourceMappings": [stream("a")], "NextMarker": 7},
        {"EventSourceMappings": [stream("a")], "NextMarker": "1"},
    ],
    ids=repr,
)
def test_an_odd_answer_is_not_no_tables(page: Any) -> None:
    """Also one whose next page is the one before."""
    first = {"EventSourceMappings": [stream("z")], "NextMarker": "1"}
    with pytest.raises(UnknownTablesError, match=r"^which tables are replicated is not known"):
        tables_of(Lambda(first, page))


def test_a_refusal_says_what_is_missing() -> None:
    refused = ClientError({"Error": {"Code": "AccessDeniedException"}}, "ListEventSourceMappings")
    with pytest.raises(CommandError, match="the permission for ListEventSourceMappings is missing") as error:
        tables_of(Lambda(refused))
    assert not isinstance(error.value, UnknownTablesError)
