"""DynamoDB in, MongoDB out, with every part real: the promises that a user sees first."""

from __future__ import annotations

import base64
import datetime as dt
import random
from typing import TYPE_CHECKING, Any

import pytest
from bson.decimal128 import Decimal128

if TYPE_CHECKING:
    from replicator_testing import Item, Pipeline

STREAM = "2020-04-30T17:47:21.395"


def at(seconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def test_article_example(pipeline: Pipeline) -> None:
    """Puts arrive with defaults and conversions; a removed attribute disappears; a delete deletes."""
    dynamodb = pipeline.stack.client("dynamodb")
    pipeline.put(
        pipeline.table,
        {"id": {"N": "1"}, "Name": {"S": "John"}, "created_at": {"N": "1588166528"}},
        {"id": {"N": "2"}, "Name": {"S": "Clare"}, "created_at": {"N": "1588166535"}},
        {"id": {"N": "3"}, "Name": {"S": "Tom"}, "created_at": {"N": "1588166541"}},
    )
    john = {"_id": 1, "id": 1, "Name": "John", "age": None, "created_at": at(1588166528)}
    clare = {"_id": 2, "id": 2, "Name": "Clare", "age": None, "created_at": at(1588166535)}
    tom = {"_id": 3, "id": 3, "Name": "Tom", "age": None, "created_at": at(1588166541)}
    pipeline.wait_for_documents(pipeline.table, [john, clare, tom])

    dynamodb.update_item(
        TableName=pipeline.table,
        Key={"id": {"N": "2"}},
        UpdateExpression="SET age = :age REMOVE created_at",
        ExpressionAttributeValues={":age": {"N": "37"}},
    )
    clare_later = {"_id": 2, "id": 2, "Name": "Clare", "age": 37}
    pipeline.wait_for_documents(pipeline.table, [john, clare_later, tom])

    dynamodb.delete_item(TableName=pipeline.table, Key={"id": {"N": "3"}})
    pipeline.wait_for_documents(pipeline.table, [john, clare_later])


def test_deleted_and_put_again(pipeline: Pipeline) -> None:
    """An item that is deleted and put again exists, with its new content only."""
    table = pipeline.create_table(id="S")
    dynamodb = pipeline.stack.client("dynamodb")
    pipeline.put(table, {"id": {"S": "a"}, "old": {"S": "x"}})
    pipeline.wait_for_documents(table, [{"_id": "a", "id": "a", "old": "x"}])
    dynamodb.delete_item(TableName=table, Key={"id": {"S": "a"}})
    pipeline.wait_for_documents(table, [])
    pipeline.put(table, {"id": {"S": "a"}, "new": {"S": "y"}})
    pipeline.wait_for_documents(table, [{"_id": "a", "id": "a", "new": "y"}])


def test_types_and_composite_key(pipeline: Pipeline) -> None:
    """A composite key becomes an `_id` of both parts; every attribute type arrives without loss."""
    table = pipeline.create_table(pk="S", sk="N")
    pipeline.put(
        table,
        {
            "pk": {"S": "user#1"},
            "sk": {"N": "2"},
            "string": {"S": "Grüße, 世界 \U0001f600"},
            "empty": {"S": ""},
            "integer": {"N": "9007199254740993"},
            "decimal": {"N": "12.75"},
            "long": {"N": "12345678901234567890.12345678901234"},
            "binary": {"B": b"\x00\xff"},
            "yes": {"BOOL": True},
            "nothing": {"NULL": True},
            "list": {"L": [{"N": "1"}, {"S": "two"}, {"L": []}]},
            "map": {"M": {"a.b": {"S": "dotted"}, "$c": {"N": "3"}, "empty": {"M": {}}}},
            "strings": {"SS": ["b", "a"]},
            "numbers": {"NS": ["10", "9", "-1.5"]},
            "binaries": {"BS": [b"\x02", b"\x01"]},
        },
    )
    pipeline.wait_for_documents(
        table,
        [
            {
                "_id": {"pk": "user#1", "sk": 2},
                "pk": "user#1",
                "sk": 2,
                "string": "Grüße, 世界 \U0001f600",
                "empty": "",
                "integer": 9007199254740993,
                "decimal": 12.75,
                "long": Decimal128("12345678901234567890.12345678901234"),
                "binary": b"\x00\xff",
                "yes": True,
                "nothing": None,
                "list": [1, "two", []],
                "map": {"a.b": "dotted", "$c": 3, "empty": {}},
                "strings": ["a", "b"],
                "numbers": [-1.5, 9, 10],
                "binaries": [b"\x01", b"\x02"],
            }
        ],
    )


def test_two_tables_into_one_queue(pipeline: Pipeline) -> None:
    """Items of two tables with equal keys stay separate, each in the collection of its table."""
    first, second = pipeline.create_table(id="N"), pipeline.create_table(id="N")
    for number in range(20):
        key = {"id": {"N": str(number)}}
        pipeline.put(first, {**key, "from": {"S": "first"}})
        pipeline.put(second, {**key, "from": {"S": "second"}})
    pipeline.stack.client("dynamodb").delete_item(TableName=first, Key={"id": {"N": "7"}})
    numbers = [*range(20)]
    left = [n for n in numbers if n != 7]
    pipeline.wait_for_documents(first, [{"_id": n, "id": n, "from": "first"} for n in left])
    pipeline.wait_for_documents(second, [{"_id": n, "id": n, "from": "second"} for n in numbers])


def test_two_thousand_items(pipeline: Pipeline) -> None:
    """After a burst of puts, overwrites and deletes MongoDB equals the table, item by item."""
    table = pipeline.create_table(id="S")
    dynamodb = pipeline.stack.client("dynamodb")
    dice = random.Random(20200430)  # noqa: S311 - a reproducible workload
    state: dict[str, Item] = {}
    for start in range(0, 2000, 25):
        keys = [f"item-{number:04}" for number in range(start, start + 25)]
        batch = {key: _item(key, dice) for key in keys}
        dynamodb.batch_write_item(
            RequestItems={table: [{"PutRequest": {"Item": item}} for item in batch.values()]}
        )
        state.update(batch)
    for key in dice.sample(sorted(state), 400):
        if dice.random() < 0.5:
            dynamodb.delete_item(TableName=table, Key={"id": {"S": key}})
            del state[key]
        else:
            state[key] = _item(key, dice)
            pipeline.put(table, state[key])
    expected = [_plain(state[key]) for key in sorted(state)]
    pipeline.wait_for_documents(table, expected)
    assert pipeline.dead_letters() == []


def _item(key: str, dice: random.Random) -> Item:
    item: Item = {"id": {"S": key}, "number": {"N": str(dice.randrange(10**9))}}
    if dice.random() < 0.5:
        item["sometimes"] = {"S": "x" * dice.randrange(200)}
    return item


def _plain(item: Item) -> dict[str, Any]:
    plain = {name: int(value["N"]) if "N" in value else value["S"] for name, value in item.items()}
    return {"_id": plain["id"], **plain}


@pytest.mark.parametrize("size", [100_000, 390_000])
def test_large_item(pipeline: Pipeline, size: int) -> None:
    """An item of nearly 400 KB of incompressible data fits into a message, whatever else is sent."""
    table = pipeline.create_table(id="S")
    content = random.Random(size).randbytes(size)  # noqa: S311 - a reproducible item
    pipeline.put(table, {"id": {"S": "large"}, "content": {"B": content}})
    pipeline.wait_for_documents(table, [{"_id": "large", "id": "large", "content": content}])


def test_malformed_record_is_parked_and_neighbours_arrive(pipeline: Pipeline) -> None:
    """A record that is no change goes to the dead-letter queue with its reason; the others are replicated."""
    table = f"table-of-{pipeline.database}"
    bad = _record(table, 2, {"id": {"N": "2"}, "broken": {"N": "not a number"}})
    binary = _record(table, 3, {"id": {"N": "3"}, "b": {"B": base64.b64encode(b"\x01").decode()}})
    answer = pipeline.invoke({"Records": [_record(table, 1, {"id": {"N": "1"}}), bad, "garbage", binary]})
    assert answer == {"batchItemFailures": []}
    pipeline.wait_for_documents(table, [{"_id": 1, "id": 1}, {"_id": 3, "id": 3, "b": b"\x01"}])
    letters: list[dict[str, Any]] = []

    def collect() -> list[dict[str, Any]]:
        letters.extend(pipeline.dead_letters())
        return letters

    pipeline.wait_until(collect, lambda found: len(found) == 2)
    by_code = {letter["code"]: letter for letter in letters}
    assert by_code["bad-number"]["table"] == table
    assert by_code["bad-number"]["sequence"] == "100000000000000000002"
    assert "broken" in by_code["bad-number"]["reason"]
    assert by_code["bad-record"]["body"] == '"garbage"'


def test_records_without_a_usable_time_arrive(pipeline: Pipeline) -> None:
    """The time and the event id of a record are optional, and order nothing."""
    table = f"timeless-of-{pipeline.database}"
    records = [_record(table, number, {"id": {"N": str(number)}}) for number in range(5)]
    del records[0]["dynamodb"]["ApproximateCreationDateTime"], records[4]["eventID"]
    records[1]["dynamodb"]["ApproximateCreationDateTime"] = 1700000000123
    micro = {
        "ApproximateCreationDateTime": 1700000000123456,
        "ApproximateCreationDateTimePrecision": "MICROSECOND",
    }
    records[2]["dynamodb"].update(micro)
    records[3]["dynamodb"]["ApproximateCreationDateTime"] = "1700000000"
    assert pipeline.invoke({"Records": records}) == {"batchItemFailures": []}
    pipeline.wait_for_documents(table, [{"_id": number, "id": number} for number in range(5)])
    assert pipeline.dead_letters() == []


def test_messages_that_would_win_for_ever_are_parked(pipeline: Pipeline) -> None:
    """A label from the future, and a table that is our own collection: real changes of the item apply."""
    table = f"future-of-{pipeline.database}"
    sqs = pipeline.stack.client("sqs")
    real = _envelope(table, 1)
    bodies = [
        real.replace(STREAM, "9999-12-31T23:59:59.999"),
        _envelope("_replicator_backfills", 1),
        real.replace('"doc":{"id":1}', '"doc":{"id":1,"n":123456789012345678901234567890}'),
        real.replace('"doc":{"id":1}', '"doc":{"id":2}'),
        real,
    ]
    for number, body in enumerate(bodies):
        sqs.send_message(
            QueueUrl=pipeline.deployment.queue_url,
            MessageBody=body,
            MessageGroupId=f"{table}/0",
            MessageDeduplicationId=f"{table}-{number}",
        )
    pipeline.wait_for_documents(table, [{"_id": 1, "id": 1}])
    letters: list[dict[str, Any]] = []

    def collect() -> list[str]:
        letters.extend(pipeline.dead_letters())
        return sorted(letter["code"] for letter in letters)

    expected = ["bad-change", "bad-collection", "bad-value", "bad-version"]
    pipeline.wait_until(collect, lambda codes: codes == expected)


def test_garbage_message_is_parked_and_neighbours_arrive(pipeline: Pipeline) -> None:
    """Garbage in the queue, in the same group as real changes, is parked unchanged; the others arrive."""
    table = f"queue-of-{pipeline.database}"
    sqs = pipeline.stack.client("sqs")
    bodies = [_envelope(table, 1), "{ this is no envelope", _envelope(table, 2), '{"v": 99}']
    for number, body in enumerate(bodies):
        sqs.send_message(
            QueueUrl=pipeline.deployment.queue_url,
            MessageBody=body,
            MessageGroupId=f"{table}/0",
            MessageDeduplicationId=f"{table}-{number}",
        )
    pipeline.wait_for_documents(table, [{"_id": 1, "id": 1}, {"_id": 2, "id": 2}])
    letters: list[dict[str, Any]] = []

    def collect() -> set[str]:
        letters.extend(pipeline.dead_letters())
        return {letter["code"] for letter in letters}

    pipeline.wait_until(collect, lambda codes: codes == {"bad-envelope", "unknown-version"})
    assert {letter["body"] for letter in letters} == {bodies[1], bodies[3]}


def _record(table: str, number: int, image: Item) -> dict[str, Any]:
    return {
        "eventID": f"event-{number}",
        "eventName": "INSERT",
        "eventSourceARN": f"arn:aws:dynamodb:us-east-1:000000000000:table/{table}/stream/{STREAM}",
        "dynamodb": {
            "Keys": {"id": image["id"]},
            "NewImage": image,
            "SequenceNumber": f"{100000000000000000000 + number}",
            "ApproximateCreationDateTime": 1588166542,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
    }


def _envelope(table: str, number: int) -> str:
    return (
        f'{{"v":1,"table":"{table}","stream":"{STREAM}","changes":[{{"op":"put",'
        f'"key":{{"id":{number}}},"seq":"{100000000000000000000 + number}","at":1588166542000,'
        f'"eid":"e{number}","doc":{{"id":{number}}}}}]}}'
    )
