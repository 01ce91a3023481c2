"""Messages that cannot be read are no empty queue: no command says "none" of what it could not look at."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from ops.queues.dead_letters import received_in
from tests.support.commands import replicator

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.commands import Result

LETTER = {
    "MessageId": "11111111-0000-0000-0000-000000000000",
    "ReceiptHandle": "r",
    "Body": "{}",
    "Attributes": {"MessageGroupId": "lane"},
    "MessageAttributes": {"code": {"StringValue": "bad-key"}},
}
ODD = {"MessageId": "2"}
UNREADABLE: list[Any] = [None, [], "x", {"Messages": "x"}, {"Messages": {}}, {"Messages": [ODD, None]}]


class Sqs:
    """A queue that counts some messages, and gives these answers to receives, then none."""

    def __init__(self, counted: int, answers: list[Any]) -> None:
        self.attributes = {
            "ApproximateNumberOfMessages": str(counted),
            "ApproximateNumberOfMessagesNotVisible": "0",
            "MaximumMessageSize": "1048576",
        }
        self.answers = answers

    def get_queue_attributes(self, **_: Any) -> Any:
        return {"Attributes": self.attributes}

    def receive_message(self, **_: Any) -> Any:
        return self.answers.pop(0) if self.answers else {}

    def send_message_batch(self, *, Entries: Any, **_: Any) -> Any:  # noqa: N803 - as boto3 names it
        return {"Successful": [{"Id": each["Id"]} for each in Entries]}

    delete_message_batch = change_message_visibility_batch = send_message_batch


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a command on such a queue."""
    monkeypatch.setenv("QUEUE_URL", "queue")
    monkeypatch.setenv("DEAD_LETTER_QUEUE_URL", "dead")
    monkeypatch.delenv("REPLICATOR_STACK", raising=False)

    def run(counted: int, answers: list[Any], *arguments: str) -> Result:
        aws = SimpleNamespace(sqs=Sqs(counted, answers))
        for module in ("dlq", "peek"):
            monkeypatch.setattr(f"ops.queues.{module}.Aws", lambda *_: aws)
        return replicator(*arguments)

    return run


@pytest.mark.parametrize("answer", UNREADABLE, ids=repr)
@pytest.mark.parametrize(
    "arguments",
    [("dlq", "list"), ("dlq", "redrive", "--all"), ("dlq", "drop", "--all", "--yes"), ("peek",)],
    ids=" ".join,
)
def test_an_answer_without_a_message_that_can_be_read(
    run: Any, answer: Any, arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sentence and exit status 2, also if SQS counts none."""
    monkeypatch.chdir(tmp_path)
    result = run(0, [answer], *arguments)
    assert result.status == 2
    assert "SQS's answer has no readable message" in result.err
    assert "There " not in result.out


def test_an_odd_message_is_told(run: Any) -> None:
    """Its neighbours are shown; whether all were redriven is not known."""
    answers = [{"Messages": [ODD, LETTER]}]
    for arguments, status in (
        (("dlq", "list"), 1),
        (("dlq", "redrive", "--all", "--force"), 1),
        (("peek",), 0),
    ):
        result = run(2, [*answers], *arguments)
        assert result.status == status
        assert "1 message in SQS's answer cannot be read" in result.err


def test_the_messages_that_cannot_be_read_are_counted() -> None:
    assert received_in({"Messages": [ODD, LETTER, None]}) == ([LETTER], 2)
    assert received_in({}) == received_in({"Messages": []}) == ([], 0)
    assert received_in(None) == received_in({"Messages": "x"}) == ([], 1)


@pytest.mark.parametrize("selection", [(), ("--table", "other")], ids=["all", "some"])
def test_what_could_not_be_looked_at_is_not_known(run: Any, selection: tuple[str, ...]) -> None:
    """If SQS counts more letters than were seen, nobody may take that for none."""
    answers = [{"Messages": [LETTER]}] if selection else []
    result = run(5, [*answers], "dlq", "list", *selection)
    assert result.status == 3
    assert "There are no" not in result.out
    assert "more could not be read" in result.err
    assert run(5, [*answers], "dlq", "list", *selection, "--json").status == 3
    assert run(5, [*answers], "dlq", "show", "abcd1234").status == 3
    for arguments in (("redrive",), ("drop",), ("drop", "--yes")):
        result = run(5, [*answers], "dlq", *arguments, *(selection or ("--all",)))
        assert result.status == 3
        assert "There are no" not in result.out + result.err


def test_a_queue_that_is_empty(run: Any) -> None:
    """SQS counts none, and hands out none."""
    result = run(0, [], "dlq", "list")
    assert (result.status, result.out, result.err) == (0, "There are no dead letters.\n", "")


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        *({"MaximumMessageSize": "9", "RedrivePolicy": odd} for odd in ("{}", "[]", "x", "1")),
        *(
            {"MaximumMessageSize": "9", "RedrivePolicy": f'{{"maxReceiveCount": {odd}}}'}
            for odd in ("null", "-1", "0", '"x"', "Infinity")
        ),
    ],
    ids=repr,
)
def test_peek_does_not_guess_how_many_receives_are_allowed(
    attributes: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It receives nothing then: a look could make SQS move the message."""
    sqs = Sqs(1, [{"Messages": [LETTER]}])
    sqs.attributes = attributes
    monkeypatch.setenv("QUEUE_URL", "queue")
    monkeypatch.delenv("REPLICATOR_STACK", raising=False)
    monkeypatch.setattr("ops.queues.peek.Aws", lambda *_: SimpleNamespace(sqs=sqs))
    result = replicator("peek")
    assert (result.status, len(sqs.answers)) == (2, 1)
    assert "cannot be read" in result.err
