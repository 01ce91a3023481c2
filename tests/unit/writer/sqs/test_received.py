"""Of an answer to a receive all whole messages are used, and no other."""

from __future__ import annotations

from typing import Any

import pytest

from writer.ports import Message
from writer.sqs.received import messages_in

ATTRIBUTES = {"MessageGroupId": "lane", "ApproximateReceiveCount": "2", "SentTimestamp": "1588166542000"}
WHOLE = {"MessageId": "m", "ReceiptHandle": "r", "Body": "b", "Attributes": ATTRIBUTES}
WRONG: list[Any] = [None, 3, [], ""]
MESSAGE = Message("m", "r", "b", "lane", 2, 1588166542000)


@pytest.mark.parametrize("answer", [{}, {"Messages": []}, {"Messages": None}, [], None], ids=repr)
def test_no_messages(answer: Any) -> None:
    assert messages_in(answer) == ([], 0)


@pytest.mark.parametrize(
    "odd",
    [
        None,
        3,
        "m",
        [],
        {},
        *({name: value for name, value in WHOLE.items() if name != missing} for missing in WHOLE),
        *({**WHOLE, name: value} for name in WHOLE for value in WRONG),
        *({**WHOLE, "Attributes": {**ATTRIBUTES, name: value}} for name in ATTRIBUTES for value in WRONG),
        {**WHOLE, "Attributes": {**ATTRIBUTES, "SentTimestamp": "-1"}},
        {**WHOLE, "Attributes": {**ATTRIBUTES, "SentTimestamp": "0"}},
        {**WHOLE, "Attributes": {**ATTRIBUTES, "SentTimestamp": "1588166542"}},  # seconds
        {**WHOLE, "Attributes": {**ATTRIBUTES, "ApproximateReceiveCount": "0"}},
        {**WHOLE, "Attributes": {**ATTRIBUTES, "ApproximateReceiveCount": "9" * 5000}},
    ],
    ids=repr,
)
def test_an_odd_message_is_left_alone(odd: Any) -> None:
    """Its neighbours are used; SQS delivers it again (P5)."""
    assert messages_in({"Messages": [odd, WHOLE, odd]}) == ([MESSAGE], 2)


@pytest.mark.parametrize("messages", [3, "x", {"0": WHOLE}], ids=repr)
def test_what_is_no_list(messages: Any) -> None:
    """It is not taken for an empty queue."""
    assert messages_in({"Messages": messages}) == ([], 1)
