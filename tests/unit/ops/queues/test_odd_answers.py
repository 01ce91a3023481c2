"""The commands read odd answers of SQS as what they are: a sentence, and nothing is deleted on a guess."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ops.console.exit_status import CommandError
from ops.queues.actions import Outcome, Redrive, restore
from ops.queues.dead_letters import received_in
from ops.queues.queue_browser import QueueBrowser, letters_in

ODD: list[Any] = [{}, None, [], "", {"Successful": "x", "Failed": "x", "Messages": "x", "Attributes": "x"}]
LETTER = {
    "MessageId": "11111111-0000-0000-0000-000000000000",
    "ReceiptHandle": "r",
    "Body": "{}",
    "Attributes": {"MessageGroupId": "lane"},
    "MessageAttributes": {"code": {"StringValue": "bad-key"}},
}


class Sqs:
    """Gives one answer to each call, but those that are set apart."""

    def __init__(self, answer: Any, **answers: Any) -> None:
        self.answers = answers
        self.answer = answer
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        def call(**_: Any) -> Any:
            self.calls.append(name)
            answer = self.answers.get(name, self.answer)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


SIZE = {"Attributes": {"MaximumMessageSize": "1048576"}}


@pytest.mark.parametrize("answer", [*ODD, AttributeError("'list' object has no attribute 'get'")], ids=repr)
def test_attributes_are_not_guessed(answer: Any) -> None:
    """A limit or a number that is missing ends the command with a sentence."""
    sqs: Any = Sqs(answer)
    for ask in (
        lambda: Redrive(sqs, "queue", force=False),
        lambda: letters_in(sqs, "dead"),
        lambda: restore(sqs, "dead", []),
    ):
        with pytest.raises(CommandError, match="reading the attributes of"):
            ask()


@pytest.mark.parametrize("answer", ODD, ids=repr)
def test_what_was_not_surely_sent_is_not_deleted(answer: Any) -> None:
    """`redrive`: the letter stays, with the reason (P3)."""
    sqs: Any = Sqs(answer, get_queue_attributes=SIZE, receive_message={"Messages": [LETTER]})
    outcome = Outcome()
    with QueueBrowser(sqs, "dead") as browser:
        Redrive(sqs, "queue", force=True).perform(browser, next(browser.batches()), outcome)
    assert outcome.done == 0
    assert outcome.kept == {LETTER["MessageId"]: "SQS did not say whether it accepted the message"}
    assert "delete_message_batch" not in sqs.calls


@pytest.mark.parametrize("answer", ODD, ids=repr)
def test_what_was_not_surely_deleted_is_not_done(answer: Any) -> None:
    """The letter was sent and may be in both queues: it is not counted, and is made visible again."""
    sent = {"Successful": [{"Id": LETTER["MessageId"]}]}
    sqs: Any = Sqs(
        answer, get_queue_attributes=SIZE, receive_message={"Messages": [LETTER]}, send_message_batch=sent
    )
    outcome = Outcome()
    with QueueBrowser(sqs, "dead") as browser:
        Redrive(sqs, "queue", force=True).perform(browser, next(browser.batches()), outcome)
    assert outcome.done == 0
    assert outcome.kept == {LETTER["MessageId"]: "was sent, but could not be deleted (NotAnswered)"}
    assert sqs.calls[-1] == "change_message_visibility_batch"


@pytest.mark.parametrize("answer", ODD, ids=repr)
def test_what_was_not_surely_restored_is_told(answer: Any) -> None:
    sqs: Any = Sqs(answer, get_queue_attributes=SIZE)
    line = json.dumps({"id": "one", "body": "b", "group": "g", "attributes": {}})
    outcome = restore(sqs, "dead", [line])
    assert (outcome.done, outcome.kept) == (0, {"one": "SQS did not say whether it accepted the message"})


@pytest.mark.parametrize(
    "odd",
    [
        None,
        {},
        *({name: value for name, value in LETTER.items() if name != missing} for missing in list(LETTER)[:4]),
        {**LETTER, "Attributes": {"MessageGroupId": "lane", "SentTimestamp": "soon"}},
        {**LETTER, "Attributes": {"MessageGroupId": "lane", "SentTimestamp": "9" * 5000}},
        {**LETTER, "MessageAttributes": {"code": "bad-key"}},
    ],
    ids=repr,
)
def test_an_odd_letter_is_left_alone(odd: Any) -> None:
    """Its neighbours are shown."""
    assert received_in({"Messages": [odd, LETTER]}) == ([LETTER], 1)
