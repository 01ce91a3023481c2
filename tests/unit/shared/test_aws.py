"""AWS clients are made of the SDK's own variables; what is wrong with these is a sentence."""

import os

import pytest

from shared.aws import sqs_client
from shared.errors import FatalError


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
