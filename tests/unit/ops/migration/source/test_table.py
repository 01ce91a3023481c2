"""Odd answers of DynamoDB: an item does not exist only if DynamoDB says so, and all else is asked again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ops.migration.source.table import Page, Reader
from tests.support.scripted_dynamodb import ScriptedDynamoDb

if TYPE_CHECKING:
    from collections.abc import Callable

ODD: list[Any] = [{}, None, [], "x"]
ONE, TWO = {"id": {"N": "1"}}, {"id": {"N": "2"}}
TABLE = {
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "N"}],
}


@pytest.mark.parametrize(
    "odd",
    [
        *ODD,
        {"Responses": {}},
        {"Responses": {}, "UnprocessedKeys": {}},
        {"Responses": {"other": []}, "UnprocessedKeys": {}},
        {"Responses": {"t": None}, "UnprocessedKeys": {}},
        {"Responses": {"t": [ONE]}},
        {"Responses": {"t": [ONE]}, "UnprocessedKeys": None},
        {"Responses": {"t": [ONE]}, "UnprocessedKeys": {"t": {}}},
        {"Responses": {"t": [ONE]}, "UnprocessedKeys": {"other": {"Keys": [TWO]}}},
        {"Responses": {"t": [ONE]}, "UnprocessedKeys": {"t": {"Keys": []}}},
        {"Responses": {"t": [None]}, "UnprocessedKeys": {}},
    ],
    ids=repr,
)
async def test_no_item_is_taken_for_absent_on_a_guess(
    odd: Any, said: list[str], reader_of: Callable[..., Reader]
) -> None:
    """Repair would delete its document (P1)."""
    client = ScriptedDynamoDb(odd, {"Responses": {"t": [ONE, TWO]}, "UnprocessedKeys": {}})
    assert await reader_of(client).get([ONE, TWO]) == [ONE, TWO]
    assert client.asked[0] == client.asked[1]
    assert [line.partition(":")[0] for line in said] == ["waiting", "going on"]


async def test_what_did_not_fit_is_asked_for(reader_of: Callable[..., Reader]) -> None:
    """An answer can have nothing but keys to ask for again; then DynamoDB says that an item is absent."""
    client = ScriptedDynamoDb(
        {"UnprocessedKeys": {"t": {"Keys": [ONE, TWO]}}},
        {"Responses": {"t": [ONE]}, "UnprocessedKeys": {"t": {"Keys": [TWO]}}},
        {"Responses": {"t": []}, "UnprocessedKeys": {}},
    )
    assert await reader_of(client).get([ONE, TWO], attributes=["id"]) == [ONE]
    asked = [each["RequestItems"]["t"] for each in client.asked]
    assert [each["Keys"] for each in asked] == [[ONE, TWO], [ONE, TWO], [TWO]]
    assert all(each["ConsistentRead"] and each["ProjectionExpression"] == "#0" for each in asked)


@pytest.mark.parametrize(
    "odd",
    [
        *ODD,
        {"Items": None},
        {"Items": "x"},
        {"Items": [None]},
        {"Items": [], "Count": 2},
        {"Items": [ONE], "Count": None},
        {"Items": [ONE], "LastEvaluatedKey": {}},
        {"Items": [ONE], "LastEvaluatedKey": "x"},
        {"Items": [ONE], "ConsumedCapacity": {"CapacityUnits": "x"}},
    ],
    ids=repr,
)
async def test_a_page_that_cannot_be_read_is_read_again(
    odd: Any, said: list[str], reader_of: Callable[..., Reader]
) -> None:
    """It is not taken for the end of the table."""
    client = ScriptedDynamoDb(odd, {"Items": [ONE], "LastEvaluatedKey": ONE})
    assert await reader_of(client).page(0, 1, None) == Page([ONE], ONE)
    assert said[-1] == "going on"


@pytest.mark.parametrize(
    "odd",
    [
        *ODD,
        {"Table": {}},
        {"Table": None},
        {"Table": {**TABLE, "KeySchema": []}},
        {"Table": {**TABLE, "AttributeDefinitions": []}},
        {"Table": {**TABLE, "StreamSpecification": "x"}},
    ],
    ids=repr,
)
async def test_a_table_that_cannot_be_read_is_looked_at_again(
    odd: Any, said: list[str], reader_of: Callable[..., Reader]
) -> None:
    source = await reader_of(ScriptedDynamoDb(odd, {"Table": TABLE})).describe()
    assert source.key == {"id": "N"}
    assert said[-1] == "going on"
