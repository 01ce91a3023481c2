"""Faults of SQS that no emulator can be made to show; tests/contract has what it can.

Trouble that passes is waited for as long as there is time, and nothing counts as sent that SQS did not take.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from producer_lambda.sending import LimitChangedError
from shared.errors import FatalError
from tests.support.scripted_sqs import (
    DEAD,
    MALFORMED,
    OK,
    ScriptedSqs,
    hangs,
    insert,
    refuses,
    reported,
    took,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


@pytest.mark.parametrize(
    ("code", "sender_fault"),
    [
        ("InternalError", False),
        ("ServiceUnavailable", False),
        ("RequestThrottled", True),
        ("ThrottlingException", True),
        ("SomethingNew", True),
        ("InvalidParameterValue", True),
        ("KmsThrottled", True),
        ("KmsAccessDenied", True),
        ("KmsDisabled", True),
        ("KMS.DisabledException", True),
        ("AccessDenied", True),
        ("OverLimit", True),
    ],
)
async def test_refused_for_now(code: str, *, sender_fault: bool) -> None:
    """Trouble that passes is waited for, only what was refused is sent again, and nothing is parked (P4)."""
    sqs = ScriptedSqs(
        queue=[refuses(code, sender_fault=sender_fault, only=lambda entry: entry["Id"] == "1")] * 3
    )
    assert await sqs.forward(*map(insert, range(1, 20))) == OK
    assert [len(entries) for _, entries in sqs.sent] == [2, 1, 1, 1]
    assert len({entry["MessageDeduplicationId"] for _, entries in sqs.sent[1:] for entry in entries}) == 1
    assert sqs.changes() == [str(sequence) for sequence in range(1, 20)]
    assert sqs.taken[DEAD] == []


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="http://sqs"),
        ConnectionResetError(),
        TimeoutError(),
        ClientError({"Error": {"Code": "InternalFailure"}}, "SendMessageBatch"),
        ClientError({"Error": {"Code": "KmsThrottled"}}, "SendMessageBatch"),
    ],
    ids=repr,
)
async def test_network(error: Exception) -> None:
    """A call that failed as a whole is repeated."""
    sqs = ScriptedSqs(queue=[error, error])
    assert await sqs.forward(insert(1)) == OK
    assert sqs.changes() == ["1"]


async def test_pauses_grow_and_vary() -> None:
    """Repetitions back off with jitter, from a tenth of a second to five seconds."""
    sqs = ScriptedSqs(queue=[TimeoutError()] * 9)
    assert await sqs.forward(insert(1)) == OK
    expected = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]
    ratios = [pause / base for pause, base in zip(sqs.pauses, expected, strict=True)]
    assert all(0.5 <= ratio <= 1.5 for ratio in ratios)
    assert len(set(ratios)) > 1


async def test_out_of_time() -> None:
    """What is not taken in time is reported, early enough to answer."""
    sqs = ScriptedSqs(queue=[TimeoutError()] * 1000)
    assert await sqs.forward(insert(7), insert(8)) == reported(7)
    assert 3.0 <= sqs.seconds < 11.0


async def test_no_time_at_all() -> None:
    """One try is made however short the invocation is; then the failure is reported without a pause."""
    sqs = ScriptedSqs(queue=[TimeoutError()])
    sqs.seconds = 0.05
    assert await sqs.forward(insert(7)) == reported(7)
    assert sqs.pauses == []


async def test_silence_is_no_success() -> None:
    """An entry that the answer does not mention is not taken for sent (P3)."""
    sqs = ScriptedSqs(queue=[lambda _: {}, lambda entries: took(entries[1:])])
    assert await sqs.forward(*map(insert, range(1, 20))) == OK
    assert [len(entries) for _, entries in sqs.sent] == [2, 2, 1]
    assert sqs.changes() == [str(sequence) for sequence in range(1, 20)]


@pytest.mark.parametrize(
    ("code", "advice"),
    [("AWS.SimpleQueueService.NonExistentQueue", "queue's URL"), ("AccessDenied", "permissions")],
)
@pytest.mark.parametrize("queue", ["queue", "dead"])
async def test_fatal(queue: str, code: str, advice: str) -> None:
    """A missing or refused queue fails the invocation at once, with a sentence that says what to do."""
    fatal = ClientError({"Error": {"Code": code}}, "SendMessageBatch")
    sqs = ScriptedSqs(**{queue: [fatal]})
    name = "QUEUE_URL" if queue == "queue" else "DEAD_LETTER_QUEUE_URL"
    with pytest.raises(FatalError, match=f"{name}: AWS answered {code}: .*{advice}"):
        await sqs.forward(insert(4), MALFORMED)
    assert sqs.pauses == []


async def test_fatal_waits_for_the_other_calls() -> None:
    """No call is left running when the invocation fails: what it sends would escape into the next one."""
    fatal = ClientError({"Error": {"Code": "AccessDenied"}}, "SendMessageBatch")
    sqs = ScriptedSqs(queue=[fatal, TimeoutError(), TimeoutError()])
    with pytest.raises(FatalError):
        await sqs.forward(*map(insert, range(1, 12)), lanes=0)
    assert sqs.changes() == ["11"]


@pytest.mark.parametrize(
    "answer", [None, [], "", {}, {"Successful": "0"}, {"Failed": [{"Id": "0"}]}], ids=repr
)
async def test_an_odd_answer_is_no_success(answer: Any) -> None:
    """Whatever the answer is made of, what it does not call successful is sent again (P3)."""
    sqs = ScriptedSqs(queue=[lambda _: answer])
    assert await sqs.forward(insert(1)) == OK
    assert len(sqs.sent) == 2
    assert sqs.taken[DEAD] == []


async def test_a_call_that_is_never_answered() -> None:
    """It ends with the time for it, and counts as not sent; parking has time of its own."""
    sqs = ScriptedSqs(queue=[hangs] * 1000)
    sqs.looks = [60.0, 3.1, 3.0]  # at the start, for the call, for another one
    assert await sqs.forward(insert(4), MALFORMED) == reported(4)
    assert sqs.changes() == []
    assert len(sqs.taken[DEAD]) == 1
    assert sqs.looks == []


async def test_a_dead_letter_queue_that_never_answers() -> None:
    """What could not be parked is reported, and what was sent is not."""
    sqs = ScriptedSqs(dead=[hangs] * 1000)
    sqs.looks = [60.0, 60.0, 1.1, 1.0]
    assert await sqs.forward(insert(4), MALFORMED) == reported(5)
    assert sqs.changes() == ["4"]
    assert sqs.looks == []


async def test_without_time_nothing_is_sent() -> None:
    """What is late is reported, so that there is an answer in time."""
    sqs = ScriptedSqs()
    sqs.looks = [60.0]
    sqs.seconds = 0.5
    assert await sqs.forward(insert(4), MALFORMED) == reported(4)
    assert sqs.sent == []


TOO_LONG = ClientError({"Error": {"Code": "AWS.SimpleQueueService.BatchRequestTooLong"}}, "SendMessageBatch")


def too_long(entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """SQS says so of an entry."""
    reason = "One or more parameters are invalid. Reason: Message must be shorter than 2048 bytes."
    return {
        "Failed": [
            {"Id": entry["Id"], "Code": "InvalidParameterValue", "Message": reason, "SenderFault": True}
            for entry in entries
        ]
    }


@pytest.mark.parametrize("answer", [TOO_LONG, too_long], ids=["of the batch", "of a message"])
@pytest.mark.parametrize("queue", ["queue", "dead"])
async def test_a_limit_of_an_earlier_invocation_is_not_trusted(queue: str, answer: Any) -> None:
    """What fits it and is too long: the queue has shrunk. Nothing is parked; the limit is asked for again."""
    sqs = ScriptedSqs(**{queue: [took, answer]})
    assert await sqs.forward(insert(1), MALFORMED) == OK
    parked = len(sqs.taken[DEAD])
    with pytest.raises(LimitChangedError):
        await sqs.forward_again(insert(2), MALFORMED)
    assert (len(sqs.taken[DEAD]), sqs.pauses) == (parked, [])


async def test_a_limit_of_this_invocation_is_trusted() -> None:
    """Asking again would tell the same: what SQS refuses is parked, as its own fault."""
    sqs = ScriptedSqs(queue=[too_long])
    assert await sqs.forward(insert(1)) == OK
    assert len(sqs.taken[DEAD]) == 1
