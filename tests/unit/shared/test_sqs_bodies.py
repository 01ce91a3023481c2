"""Messages that are read without botocore's parser are what it would have read; all else is left to it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiobotocore.awsrequest import AioAWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError

from shared import aws

URL = "http://sqs.test/1/queue.fifo"
MESSAGE = {
    "MessageId": "id",
    "ReceiptHandle": "receipt",
    "Body": 'é "\\ \u2028 \x7f \U0001f600',
    "MD5OfBody": "0" * 32,
    "Attributes": {"MessageGroupId": "t/1", "ApproximateReceiveCount": "1", "SentTimestamp": "1700000000000"},
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")


async def _answer(body: bytes, status: int = 200) -> dict[str, Any]:
    """What the client makes of an answer; the request goes nowhere."""

    class Raw:
        async def read(self) -> bytes:
            return body

    async with aws.sqs_client(1, attempts=1, read_timeout=1) as sqs:
        client: Any = sqs
        client.meta.events.register(
            "before-send.sqs.ReceiveMessage",
            lambda **_: AioAWSResponse(URL, status, HTTPHeaders(), Raw()),
        )
        answer: dict[str, Any] = await client.receive_message(QueueUrl=URL)
    return answer


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"Messages": [MESSAGE, MESSAGE]}).encode(),
        json.dumps({"Messages": []}).encode(),
        b"{}",
        b'{"Messages":[{"Body":"\\ud800"}]}',  # orjson refuses it
        b"<html>",
    ],
    ids=["messages", "none", "nothing", "surrogate", "page"],
)
async def test_the_same_as_botocore(monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    read_here = await _answer(body)
    monkeypatch.setattr(aws, "read_bodies", lambda _: None)
    assert read_here == await _answer(body)


async def test_the_message_is_read_here() -> None:
    """A member that botocore's model does not know comes through: it was not botocore that read it."""
    answer = await _answer(b'{"Messages":[{"MessageId":"id","Unknown":1}],"Error":{"Code":"x"}}')
    assert answer["Messages"] == [{"MessageId": "id", "Unknown": 1}]
    assert "Error" not in answer


async def test_errors_are_left_to_botocore() -> None:
    with pytest.raises(ClientError, match="NoQueue"):
        await _answer(b'{"__type":"NoQueue","Messages":[]}', 400)
    with pytest.raises(AttributeError):  # its own; `shared.aws_errors` knows that it is about the answer
        await _answer(b'["Messages"]')
