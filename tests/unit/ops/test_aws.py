"""What AWS answers becomes a sentence, and it is known whether to try again."""

import pytest
from botocore.exceptions import ClientError

from ops.aws import aws_errors
from shared.errors import FatalError, TransientError


def answer(status: int, code: str, message: str) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        "Scan",
    )


def text_of(error: ClientError) -> tuple[type[Exception], str]:
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
