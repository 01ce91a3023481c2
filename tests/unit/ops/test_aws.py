"""What AWS answers becomes a sentence, and it is known whether to try again."""

import pytest
from botocore.exceptions import (
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
)

from ops.aws import asking, aws_errors
from ops.console.exit_status import CommandError
from shared.errors import FatalError, TransientError


def answer(status: int, code: str, message: str) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        "Scan",
    )


def text_of(error: Exception) -> tuple[type[Exception], str]:
    with pytest.raises((TransientError, FatalError)) as caught, aws_errors("reading the table t"):
        raise error
    return type(caught.value), str(caught.value)


@pytest.mark.parametrize(
    ("status", "code"),
    [(500, "InternalServerError"), (503, "ServiceUnavailable"), (400, "ThrottlingException"), (429, "")],
)
def test_what_passes_reads_the_same_each_time(status: int, code: str) -> None:
    """A wait is announced once per text; a request id in AWS's words would announce each try (P7)."""
    first, second = (text_of(answer(status, code, f"request {number}")) for number in (1, 2))
    assert (
        first == second == (TransientError, f"reading the table t: AWS answered {code or 'the status 429'}")
    )


def test_what_stays_says_what_aws_says() -> None:
    kind, text = text_of(answer(400, "ValidationException", "The table has no such key"))
    assert kind is FatalError
    assert text == "reading the table t: AWS answered ValidationException: The table has no such key"


EXPIRED = (
    "Signature expired: 20260101T000000Z is now earlier than 20260101T001000Z (20260101T002500Z - 15 min.)"
)
PASSING: list[Exception] = [
    answer(400, "SomethingNew", "secret"),
    answer(403, "403", "<html>"),
    answer(403, "ExpiredTokenException", "secret"),
    answer(403, "InvalidSignatureException", EXPIRED),
    answer(403, "RequestTimeTooSkewed", "secret"),
    NoCredentialsError(),
    PartialCredentialsError(provider="env", cred_var="secret"),
    CredentialRetrievalError(provider="container-role", error_msg="secret"),
    RuntimeError("secret"),
    KeyError("secret"),
    AttributeError("secret"),
]


@pytest.mark.parametrize("error", PASSING, ids=repr)
def test_what_a_long_command_waits_for(error: Exception) -> None:
    """Credentials, a wrong clock, what nobody knows: it says what it waits for (P4)."""
    kind, text = text_of(error)
    assert kind is TransientError
    assert text.startswith("reading the table t: ")
    assert "secret" not in text


@pytest.mark.parametrize("error", PASSING, ids=repr)
def test_a_short_command_ends_with_a_sentence(error: Exception) -> None:
    """Whatever AWS answers: no traceback."""
    with (
        pytest.raises(CommandError, match=r"^receiving from the queue: "),
        asking("receiving from the queue"),
    ):
        raise error


@pytest.mark.parametrize(
    "error",
    [
        answer(400, "ResourceNotFoundException", "Requested resource not found"),
        answer(400, "AccessDeniedException", "?"),
        answer(403, "AccessDenied", "?"),
        answer(404, "NoSuchBucket", "?"),
        answer(400, "UnrecognizedClientException", "?"),
        answer(403, "InvalidSignatureException", "The request signature we calculated does not match"),
        NoRegionError(),
    ],
    ids=repr,
)
def test_what_only_a_person_can_mend(error: Exception) -> None:
    """AWS says so itself, or a setting is missing."""
    assert text_of(error)[0] is FatalError
