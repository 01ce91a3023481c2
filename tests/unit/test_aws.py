"""AWS errors are told apart by type and code, and the fatal ones say what to do."""

import aiohttp
import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ReadTimeoutError,
)

from shared.aws import AWS_ERRORS, error_code, translated
from shared.errors import FatalError, TransientError

DOING = "sending to QUEUE_URL"


def answer(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "secret body"}}, "SendMessageBatch")


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("AWS.SimpleQueueService.NonExistentQueue", "check the queue's URL"),
        ("QueueDoesNotExist", "check the queue's URL"),
        ("InvalidAddress", "check the queue's URL"),
        ("AccessDenied", "check the credentials and the permissions"),
        ("AccessDeniedException", "check the credentials and the permissions"),
        ("InvalidClientTokenId", "check the credentials and the permissions"),
        ("SignatureDoesNotMatch", "check the credentials and the permissions"),
    ],
)
def test_fatal_answers(code: str, advice: str) -> None:
    """A missing queue or refused credentials need a person, who is told what to check."""
    error = translated(answer(code), DOING)
    assert isinstance(error, FatalError)
    assert str(error).startswith(f"{DOING}: AWS answered {code}: {advice}")


@pytest.mark.parametrize(
    "error",
    [
        answer("RequestThrottled"),
        answer("ThrottlingException"),
        answer("InternalFailure"),
        answer("ServiceUnavailable"),
        answer("ExpiredToken"),
        answer("KmsThrottled"),
        answer(""),
        ClientError({}, "SendMessageBatch"),
        EndpointConnectionError(endpoint_url="http://sqs"),
        ConnectTimeoutError(endpoint_url="http://sqs"),
        ReadTimeoutError(endpoint_url="http://sqs"),
        aiohttp.ClientConnectionError("reset"),
        TimeoutError(),
        ConnectionResetError(),
    ],
    ids=repr,
)
def test_everything_else_passes(error: Exception) -> None:
    """Throttling, server errors and the network are waited for, never given up on (P4)."""
    assert isinstance(error, AWS_ERRORS)
    ours = translated(error, DOING)
    assert isinstance(ours, TransientError)
    assert str(ours).startswith(DOING)
    assert "secret body" not in str(ours)


@pytest.mark.parametrize("error", [NoCredentialsError(), NoRegionError()], ids=repr)
def test_no_configuration_is_fatal(error: Exception) -> None:
    """Without region or credentials nothing will ever work."""
    assert isinstance(translated(error, DOING), FatalError)


def test_error_code() -> None:
    """The code of a response, or nothing."""
    assert error_code(answer("AccessDenied")) == "AccessDenied"
    assert error_code(ClientError({}, "x")) == ""
