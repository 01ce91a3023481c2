"""An entry of a batch call is done only if SQS says so, and at fault only by a known code (P3, P4)."""

from __future__ import annotations

from typing import Any

import pytest

from shared.errors import TransientError
from shared.sqs_answers import (
    NOT_ANSWERED,
    Fate,
    about_the_lock,
    about_the_message,
    all_done,
    attributes_of,
    message_limit_in,
    number_in,
    verdicts,
)

DONE = {"Id": "0", "MessageId": "m"}


def failed(code: Any, reason: Any = "", *, sender_fault: Any = True) -> dict[str, Any]:
    return {"Failed": [{"Id": "0", "Code": code, "Message": reason, "SenderFault": sender_fault}]}


def fate(answer: Any, is_own_fault: Any = about_the_message) -> Fate:
    (verdict,) = verdicts(answer, ["0"], is_own_fault).values()
    with_another = verdicts(answer, ["0", "other"], is_own_fault)
    assert with_another["0"] == verdict
    assert with_another["other"].fate is Fate.UNKNOWN
    return verdict.fate


ODD: list[Any] = [
    None,
    [],
    "",
    3,
    {},
    {"Successful": []},
    {"Successful": None, "Failed": None},
    {"Successful": "0", "Failed": "0"},
    {"Successful": {"0": DONE}},
    {"Successful": ["0", None, 0]},
    {"Successful": [{"Id": 0}, {"Id": ["0"]}, {}]},
    {"Successful": [{"Id": "1"}]},
    {"Successful": [DONE], **failed("InternalError", sender_fault=False)},
    failed("InvalidMessageContents", sender_fault=False),
    failed("InvalidMessageContents", sender_fault="true"),
    failed("InvalidMessageContents", sender_fault=None),
    failed(None),
    failed(["InvalidMessageContents"]),
    failed("<html>"),
    failed("SomethingNew"),
    failed("KmsThrottled"),
    failed("InvalidParameterValue", None),
    failed("InvalidParameterValue", "The request include parameter that is not valid for this queue type"),
    {"Failed": [{"Id": "0"}]},
    {"Failed": [{"Id": "0", "SenderFault": True}]},
    {"Failed": [{"Code": "InvalidMessageContents", "SenderFault": True}]},
]


@pytest.mark.parametrize("answer", ODD, ids=repr)
@pytest.mark.parametrize("is_own_fault", [about_the_message, about_the_lock])
def test_what_is_not_said_is_not_known(answer: Any, is_own_fault: Any) -> None:
    """Whatever the answer is made of: neither success nor the entry's own fault."""
    assert fate(answer, is_own_fault) is Fate.UNKNOWN
    with pytest.raises(TransientError, match=r"^doing: SQS answered [A-Za-z]+$"):
        all_done(verdicts(answer, ["0"]).values(), "doing")


def test_done() -> None:
    """The id is in `Successful`; odd neighbours do not matter."""
    answer = {"Successful": [None, DONE], "Failed": [3, {"Id": "1"}]}
    assert fate(answer) is Fate.DONE
    assert verdicts(answer, ["0"])["0"].message_id == "m"
    assert verdicts({"Successful": [{"Id": "0", "MessageId": 3}]}, ["0"])["0"].message_id == ""
    all_done(verdicts(answer, ["0"]).values(), "doing")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("InvalidMessageContents", "Message contains characters outside the allowed set"),
        (
            "InvalidParameterValue",
            "One or more parameters are invalid. Reason: Message must be shorter than 2 bytes.",
        ),
        (
            "InvalidParameterValueException",
            "One or more parameters are invalid. Reason: Message must be shorter than 2 bytes.",
        ),
    ],
)
def test_the_messages_own_fault(code: str, reason: str) -> None:
    """Only its content or size; a lock has no such fault."""
    assert fate(failed(code, reason)) is Fate.AT_FAULT
    assert fate(failed(code, reason), about_the_lock) is Fate.UNKNOWN


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("ReceiptHandleIsInvalid", "The input receipt handle is invalid."),
        ("AWS.SimpleQueueService.ReceiptHandleIsInvalid", ""),
        ("AWS.SimpleQueueService.MessageNotInflight", ""),
        ("MessageNotInflight", ""),
        ("InvalidIdFormat", ""),
        ("InvalidParameterValue", "Value X for parameter ReceiptHandle is invalid. Reason: expired."),
        ("InvalidParameterValue", "Reason: Total VisibilityTimeout for the message is beyond the limit"),
    ],
)
def test_a_lost_lock(code: str, reason: str) -> None:
    """Held for too long, deleted, or somebody else's; a message that is sent has no such fault."""
    assert fate(failed(code, reason), about_the_lock) is Fate.AT_FAULT
    assert fate(failed(code, reason)) is Fate.UNKNOWN


def test_the_reason_is_kept_apart_from_the_code() -> None:
    """The code is for logs, the text, which may quote a request, is not."""
    verdict = verdicts(failed("SomethingNew", "Value secret"), ["0"])["0"]
    assert (verdict.code, verdict.reason) == ("SomethingNew", "Value secret")
    assert verdicts(failed("<html>", "x"), ["0"])["0"].code == NOT_ANSWERED


@pytest.mark.parametrize(
    "answer", [None, [], {}, {"Attributes": []}, {"Attributes": {"N": 3}}, {"Attributes": {"N": ""}}]
)
def test_attributes_that_are_missing(answer: Any) -> None:
    """A number that every queue has is not guessed."""
    with pytest.raises(TransientError, match=r"^doing: SQS's answer has no N that can be read$"):
        number_in(attributes_of(answer), "N", "doing")


@pytest.mark.parametrize("text", ["-1", "1.5", "x", "1_0", "٣", "9" * 5000, " 1"])
def test_attributes_that_are_no_number(text: str) -> None:
    with pytest.raises(TransientError):
        number_in({"N": text}, "N", "doing")
    assert number_in({"N": "262144"}, "N", "doing") == 262144


@pytest.mark.parametrize("text", ["5", "0", "1023", "", "large"])
def test_a_limit_that_no_queue_can_have_is_not_known(text: str) -> None:
    """With it, every record would be too large, and parked for it (P5)."""
    with pytest.raises(TransientError, match="MaximumMessageSize"):
        message_limit_in({"MaximumMessageSize": text}, "doing")
    assert message_limit_in({"MaximumMessageSize": "1024"}, "doing") == 1024
