"""AWS errors are told apart by type and code, and the fatal ones say what to do."""

import os

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

from shared.aws import AWS_ERRORS, error_code, sqs_client, translated
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


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({}, "set AWS_DEFAULT_REGION"),
        ({"AWS_DEFAULT_REGION": "eu-west-1", "AWS_ENDPOINT_URL": "no url"}, "AWS_\\* variables: .*no url"),
        ({"AWS_DEFAULT_REGION": "eu-west-1", "AWS_PROFILE": "absent"}, "AWS_\\* variables: .*absent"),
    ],
    ids=["region", "endpoint", "profile"],
)
async def test_client_without_configuration(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], sentence: str
) -> None:
    """Variables of the SDK that are missing or wrong are a sentence that says which."""
    for name in (
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_PROFILE",
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_SQS",
    ):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(FatalError, match=sentence):
        async with sqs_client(1, attempts=1, read_timeout=60):
            pass
