"""What SQS's answers say: about each entry of a batch call, and about a queue. Pure.

Law: an entry is done only if its id is in `Successful`, and at fault itself only if SQS says so with a code
that is known to be about the entry. All else, an answer of any other form included, is not known, and is
asked again.

Sources: Amazon SQS API reference, `GetQueueAttributes`, `SendMessageBatch`, `DeleteMessageBatch`,
`ChangeMessageVisibilityBatch`, `BatchResultErrorEntry`; the errors of `SendMessage`, `DeleteMessage` and
`ChangeMessageVisibility`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from shared.errors import TransientError

OwnFault = Callable[[str, str], bool]
"""Whether a code of SQS, with its text, is about the entry itself."""

NOT_ANSWERED = "NotAnswered"
"""The code of an entry about which the answer says nothing, or nothing that can be read."""

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9._]{0,99}")
_INVALID = frozenset({"InvalidParameterValue", "InvalidParameterValueException"})  # AWS; LocalStack
_MOST_DIGITS = 18
_SERVICE = "AWS.SimpleQueueService."


class Fate(StrEnum):
    """What became of an entry."""

    DONE = "done"
    AT_FAULT = "at fault"
    """SQS will never take it: the message is not valid; or the lock on it is lost."""
    UNKNOWN = "unknown"
    """It may help to ask again."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What SQS says about one entry.

    Attributes:
        code: SQS's code; empty if the entry is done.
        reason: SQS's own text, which can quote the request: not for logs.
        message_id: SQS's id of a message that was sent; empty: it did not say.
    """

    fate: Fate
    code: str = ""
    reason: str = ""
    message_id: str = ""


def about_the_message(code: str, reason: str) -> bool:
    """Whether a refused send is the message's own fault: what is in it, or its size.

    A message that is too large has a code that a wrong queue has, too; only the text tells them apart.
    """
    return code == "InvalidMessageContents" or is_too_long(code, reason)


def is_too_long(code: str, reason: str) -> bool:
    """Whether a message, or a batch of them, is longer than the queue takes now."""
    return code == "BatchRequestTooLong" or (code in _INVALID and "Message must be shorter than" in reason)


def about_the_lock(code: str, reason: str) -> bool:
    """Whether a refused delete or change of visibility says that the lock on the message is lost.

    Held for twelve hours, or received by somebody else, or deleted: ``InvalidParameterValue`` names the
    parameter.
    """
    named = "ReceiptHandle" in reason or "VisibilityTimeout" in reason
    lost = {"InvalidIdFormat", "MessageNotInflight", "ReceiptHandleIsInvalid"}
    return code in lost or (code in _INVALID and named)


def verdicts(
    answer: object, ids: Iterable[str], is_own_fault: OwnFault = about_the_message
) -> dict[str, Verdict]:
    """Reads an answer.

    Args:
        answer: what the client returned; it may have any form.
        ids: those of the entries that were sent.
        is_own_fault: `about_the_message` or `about_the_lock`.

    Returns:
        A verdict for each entry, in the order of `ids`.
    """
    done = _entries(answer, "Successful")
    failed = _entries(answer, "Failed")
    return {
        each: _done(done[each])
        if each in done and each not in failed
        else _failure(failed.get(each), is_own_fault)
        for each in ids
    }


def all_done(found: Iterable[Verdict], doing: str) -> None:
    """Returns if every entry is done.

    Raises:
        TransientError: one of them is not, whosesoever fault it is.
    """
    for verdict in found:
        if verdict.fate is not Fate.DONE:
            raise TransientError(f"{doing}: SQS answered {verdict.code}")


def attributes_of(answer: object) -> dict[str, str]:
    """The attributes in an answer to `GetQueueAttributes`: those that are text."""
    attributes = answer.get("Attributes") if isinstance(answer, dict) else None
    if not isinstance(attributes, dict):
        return {}
    return {
        name: text for name, text in attributes.items() if isinstance(name, str) and isinstance(text, str)
    }


def number_in(attributes: Mapping[str, str], name: str, doing: str, least: int = 0) -> int:
    """A number that every queue has.

    Raises:
        TransientError: it is not there, no number, or less than it can be; `doing` says what was asked.
    """
    text = attributes.get(name, "")
    if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS and int(text) >= least:
        return int(text)
    raise TransientError(f"{doing}: SQS's answer has no {name} that can be read")


def message_limit_in(attributes: Mapping[str, str], doing: str) -> int:
    """`MaximumMessageSize`, bytes. Raises as `number_in`.

    Source: Amazon SQS API reference, ``SetQueueAttributes``: 1,024 bytes at least.
    """
    return number_in(attributes, "MaximumMessageSize", doing, least=1024)


def _done(entry: Mapping[str, Any]) -> Verdict:
    message_id = entry.get("MessageId")
    return Verdict(Fate.DONE, message_id=message_id if isinstance(message_id, str) else "")


def _failure(entry: Mapping[str, Any] | None, is_own_fault: OwnFault) -> Verdict:
    code, reason = (entry or {}).get("Code"), (entry or {}).get("Message")
    if entry is None or not isinstance(code, str) or not _CODE.fullmatch(code):
        return Verdict(Fate.UNKNOWN, NOT_ANSWERED)
    text = reason if isinstance(reason, str) else ""
    is_own = entry.get("SenderFault") is True and is_own_fault(code.removeprefix(_SERVICE), text)
    return Verdict(Fate.AT_FAULT if is_own else Fate.UNKNOWN, code, text)


def _entries(answer: object, name: str) -> dict[str, Mapping[str, Any]]:
    """The entries of a list, by id; what is no list of entries with ids has none."""
    entries = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(entries, list):
        return {}
    return {
        entry["Id"]: entry
        for entry in entries
        if isinstance(entry, dict) and isinstance(entry.get("Id"), str)
    }
