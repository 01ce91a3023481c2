"""What a call of AWS raises is told apart by type and code; only a refusal at the start is for a person."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
)

from shared.aws_errors import aws_call, error_code
from shared.errors import FatalError, TransientError

DOING = "sending to QUEUE_URL"
SECRET = "4111-1111"


def answer(code: Any, message: Any = SECRET) -> ClientError:
    error: Any = {"Error": {"Code": code, "Message": message}}
    return ClientError(error, "SendMessageBatch")


def odd(response: Any) -> ClientError:
    """A response whose parts have the wrong types; the SDK's own constructor reads them."""
    error = ClientError({}, "SendMessageBatch")
    error.response = response
    return error


def ours(error: Exception, *, at_start: bool = True) -> Exception:
    with pytest.raises((FatalError, TransientError)) as caught, aws_call(DOING, at_start=at_start):
        raise error
    assert str(caught.value).startswith(f"{DOING}: ")
    assert SECRET not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("AWS.SimpleQueueService.NonExistentQueue", "check the queue's URL"),
        ("QueueDoesNotExist", "check the queue's URL"),
        ("InvalidAddress", "check the queue's URL"),
        ("AccessDenied", "check the credentials and the permissions"),
        ("AccessDeniedException", "check the credentials and the permissions"),
        ("InvalidClientTokenId", "check the credentials and the permissions"),
        ("SignatureDoesNotMatch", "check the secret key"),
        ("InvalidSignatureException", "check the secret key"),
    ],
)
def test_refusals(code: str, advice: str) -> None:
    """At the start a missing queue or refused credentials need a person; later it is an outage (P4)."""
    first, later = ours(answer(code)), ours(answer(code), at_start=False)
    assert isinstance(first, FatalError)
    assert isinstance(later, TransientError)
    assert str(first) == str(later)
    assert f"AWS answered {code}: {advice}" in str(first)


@pytest.mark.parametrize(
    "error",
    [
        answer("RequestThrottled"),
        answer("InternalFailure"),
        answer("ExpiredToken"),
        answer("KmsThrottled"),
        answer("SomethingNew"),
        answer("403"),
        answer(f"<html>{SECRET}"),
        answer(""),
        ClientError({}, "SendMessageBatch"),
        odd({"Error": [SECRET], "ResponseMetadata": 3}),
        odd({"Error": {"Code": 3, "Message": None}}),
        odd([SECRET]),
        EndpointConnectionError(endpoint_url="http://sqs"),
        ConnectTimeoutError(endpoint_url="http://sqs"),
        ReadTimeoutError(endpoint_url="http://sqs"),
        aiohttp.ClientConnectionError(SECRET),
        TimeoutError(),
        ConnectionResetError(),
        AttributeError("'list' object has no attribute 'get'"),
        KeyError(SECRET),
        RecursionError(),
        UnicodeDecodeError("utf-8", SECRET.encode(), 0, 1, "invalid"),
        RuntimeError("Credentials were refreshed, but the refreshed credentials are still expired."),
        NoCredentialsError(),
        PartialCredentialsError(provider="env", cred_var=SECRET),
        CredentialRetrievalError(provider="container-role", error_msg=f"Received 500: {SECRET}"),
    ],
    ids=repr,
)
def test_everything_else_passes(error: Exception) -> None:
    """Throttling, the network, credentials, unknown codes, nonsense: waited for, at the start too (P4)."""
    assert isinstance(ours(error), TransientError)


EXPIRED = (
    "Signature expired: 20260101T000000Z is now earlier than 20260101T001000Z (20260101T002500Z - 15 min.)"
)
FUTURE = (
    "Signature not yet current: 20260101T010000Z is still later than 20260101T004500Z "
    "(20260101T003000Z + 15 min.)"
)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            answer("InvalidSignatureException", EXPIRED),
            "is wrong, about 25 minutes behind that of AWS: set it",
        ),
        (answer("SignatureDoesNotMatch", EXPIRED), "is wrong, about 25 minutes behind that of AWS: set it"),
        (
            answer("InvalidSignatureException", FUTURE),
            "is wrong, about 30 minutes ahead of that of AWS: set it",
        ),
        (answer("SignatureDoesNotMatch", EXPIRED[:65]), "is wrong: set it"),
        (answer("AuthFailure", "Signature expired"), "is wrong: set it"),
        (answer("SignatureDoesNotMatch", EXPIRED.replace("0101", "9999")), "is wrong: set it"),
        (answer("RequestTimeTooSkewed"), "is wrong: set it"),
        (answer("RequestExpired"), "is wrong: set it"),
        (answer("RequestInTheFuture"), "is wrong: set it"),
    ],
    ids=repr,
)
def test_a_wrong_clock_is_waited_for(error: ClientError, words: str) -> None:
    """AWS refuses what was signed at another time; the sentence names the clock, and how far it is off."""
    found = ours(error)
    assert isinstance(found, TransientError)
    assert f"the clock of this machine {words}" in str(found)
    assert f"(AWS answered {error_code(error)})" in str(found)


def test_our_own_errors_stay_what_they_are() -> None:
    with pytest.raises(FatalError, match=r"^as it is$"), aws_call(DOING):
        raise FatalError("as it is")


def test_error_code() -> None:
    """The code of a response, or nothing."""
    assert error_code(answer("AccessDenied")) == "AccessDenied"
    assert error_code(ClientError({}, "x")) == error_code(odd(None)) == error_code(ValueError()) == ""
