"""AWS clients are made of the SDK's own variables; what is wrong with these is a sentence."""

import os
from pathlib import Path

import pytest
from botocore.exceptions import NoCredentialsError, PartialCredentialsError

from ops.aws import Aws
from shared.aws import LateSession, sqs_client
from shared.errors import FatalError


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({}, "set AWS_REGION"),
        ({"AWS_REGION": "", "AWS_DEFAULT_REGION": " "}, "set AWS_REGION"),
        ({"AWS_DEFAULT_REGION": "eu-west-1", "AWS_ENDPOINT_URL": "no url"}, "AWS_\\* variables: .*no url"),
        ({"AWS_DEFAULT_REGION": "eu-west-1", "AWS_PROFILE": "absent"}, "AWS_\\* variables: .*absent"),
    ],
    ids=["region", "empty region", "endpoint", "profile"],
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


@pytest.mark.parametrize(
    ("variables", "region"),
    [
        ({"AWS_REGION": "eu-west-1"}, "eu-west-1"),
        ({"AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-2"),
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-1"),
        ({"AWS_REGION": "", "AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-2"),
        ({}, "eu-west-3"),
    ],
    ids=["AWS_REGION", "AWS_DEFAULT_REGION", "both", "an empty one", "the profile's"],
)
async def test_region(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variables: dict[str, str], region: str
) -> None:
    """AWS_REGION, then AWS_DEFAULT_REGION, then the profile: for the two sides and the commands."""
    config = tmp_path / "config"
    config.write_text("[default]\nregion = eu-west-3\n")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    async with sqs_client(1, attempts=1, read_timeout=60) as client:
        assert client.meta.region_name == region
    assert Aws().sqs.meta.region_name == region
    assert Aws(region="us-east-1").sqs.meta.region_name == "us-east-1"
    async with Aws(region="us-east-1").open_client("sqs") as client:
        assert client.meta.region_name == "us-east-1"


KEYS = "[default]\naws_access_key_id = {0}\naws_secret_access_key = {0}\n"


async def test_credentials_that_come_later(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """They are looked for with each call until there are some, and those of a file are read again (P4)."""
    file = tmp_path / "credentials"
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setattr("shared.aws._READ_AGAIN", 0.0)
    credentials = await LateSession().get_credentials()
    with pytest.raises(NoCredentialsError):
        await credentials.get_frozen_credentials()
    file.write_text("[default]\naws_access_key_id = half\n")
    with pytest.raises(PartialCredentialsError):
        await credentials.get_frozen_credentials()
    for text, key in (
        (KEYS.format("first"), "first"),
        ("half = written", "first"),
        (KEYS.format("new"), "new"),
    ):
        file.write_text(text)
        assert (await credentials.get_frozen_credentials()).access_key == key


async def test_account_of_credentials_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """DynamoDB's client asks for it before each call; the SDK's credentials are of two kinds."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_ACCOUNT_ID", "123456789012")
    credentials = await LateSession().get_credentials()
    assert await credentials.get_account_id() == "123456789012"
