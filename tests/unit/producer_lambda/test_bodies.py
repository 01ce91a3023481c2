"""The body of a batch call says what botocore's own would say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiobotocore.awsrequest import AioAWSResponse
from botocore.compat import HTTPHeaders

from producer_lambda.bodies import write_bodies
from shared.aws import sqs_client

URL = "http://sqs.test/1/queue.fifo"
ATTRIBUTES = {"code": {"DataType": "String", "StringValue": "bad-record"}}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")


class _Raw:
    """An answer without entries."""

    async def read(self) -> bytes:
        return b"{}"


async def _sent(entries: Any, *, by_botocore: bool) -> tuple[dict[str, Any], bytes]:
    """The headers and the body of the request, which goes nowhere."""
    requests: list[Any] = []

    def answer(request: Any, **_: Any) -> Any:
        requests.append(request)
        return AioAWSResponse(URL, 200, HTTPHeaders(), _Raw())

    async with sqs_client(1, attempts=1, read_timeout=1) as sqs:
        client: Any = sqs
        if not by_botocore:
            write_bodies(client)
        client.meta.events.register("before-send.sqs.SendMessageBatch", answer)
        await client.send_message_batch(QueueUrl=URL, Entries=entries)
    (request,) = requests
    return dict(request.headers), request.body


@pytest.mark.parametrize(
    "body",
    ['{"v":1,"table":"t"}', 'é "\\ \u2028 \x7f \ufffd', "\U0001f600", "\ud800", ""],
    ids=["plain", "characters", "beyond", "surrogate", "empty"],
)
async def test_the_request_is_the_same(body: str) -> None:
    """The same JSON and the same headers but those that depend on its bytes, whatever the text."""
    entries = [
        {"Id": str(n), "MessageBody": body, "MessageGroupId": "t/1", "MessageAttributes": ATTRIBUTES}
        for n in range(2)
    ]
    headers, sent = await _sent(entries, by_botocore=False)
    expected_headers, expected = await _sent(entries, by_botocore=True)
    assert json.loads(sent) == json.loads(expected) == {"QueueUrl": URL, "Entries": entries}
    assert headers.keys() == expected_headers.keys()
    assert headers["X-Amz-Target"] == expected_headers["X-Amz-Target"]
    assert len(sent) <= len(expected)
