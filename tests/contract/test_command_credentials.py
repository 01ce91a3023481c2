"""Commands that take long wait for credentials, and say so; the others end with a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pymongo
import pytest

from local.polling import wait_until
from tests.support import command_processes as commands
from tests.support.credentials_endpoint import SECRET, credentials, credentials_endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.stack import Stack
    from tests.conftest import Queues
    from tests.support.credentials_endpoint import CredentialsEndpoint


@pytest.fixture
def endpoint() -> Iterator[CredentialsEndpoint]:
    with credentials_endpoint() as endpoint:
        yield endpoint


@pytest.fixture
def environment(stack: Stack, database: str, endpoint: CredentialsEndpoint) -> dict[str, str]:
    settings = {"MONGODB_URI": stack.mongodb_uri, "MONGODB_DATABASE": database}
    return endpoint.environment(stack.environment()) | settings


@pytest.fixture
def table(stack: Stack, unique: str) -> str:
    """A table with one item."""
    dynamodb = stack.client("dynamodb")
    dynamodb.create_table(
        TableName=unique,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "N"}],
        BillingMode="PAY_PER_REQUEST",
    )
    dynamodb.put_item(TableName=unique, Item={"id": {"N": "1"}})
    return unique


def test_long_commands_wait(
    tmp_path: Path, endpoint: CredentialsEndpoint, environment: dict[str, str], table: str
) -> None:
    """`backfill` and `verify --watch`, at the start and while they run (P4)."""
    with pymongo.MongoClient[dict[str, Any]](environment["MONGODB_URI"]) as client:
        client[environment["MONGODB_DATABASE"]].create_collection("there")  # as after a writer's start
    endpoint.give(SECRET, 500)
    backfill = commands.start(
        environment, tmp_path / "backfill", "backfill", table, "--no-live", "--no-mapping"
    )
    arguments = ("verify", table, "--no-mapping", "--watch", "--rcu", "1000", "--settle", "0")
    verify = commands.start(environment, tmp_path / "verify", *arguments)
    try:
        for name in ("backfill", "verify"):
            log = tmp_path / name
            wait_until(lambda log=log: "waiting: " in log.read_text(), what=f"{name} to wait")  # type: ignore[misc]
        endpoint.give(credentials(minutes=5))  # to be renewed with each call
        wait_until(lambda: not backfill.running, what="the end of backfill")
        assert backfill.kill() == 0  # its exit status: it has ended
        wait_until(lambda: "going on" in (tmp_path / "verify").read_text(), what="verify to go on")
        endpoint.give(SECRET, 500)
        wait_until(
            lambda: (tmp_path / "verify").read_text().count("waiting: ") > 1, what="verify to wait again"
        )
        assert verify.running
    finally:
        backfill.kill()
        verify.kill()
    for name in ("backfill", "verify"):
        text = (tmp_path / name).read_text()
        assert "the source of the AWS credentials does not give any" in text
        assert "Traceback" not in text
        assert SECRET not in text


def test_short_commands_end(
    endpoint: CredentialsEndpoint, environment: dict[str, str], queues: Queues
) -> None:
    """With status 2, and no traceback."""
    named = {"QUEUE_URL": queues.url, "DEAD_LETTER_QUEUE_URL": queues.dead_letter_url}
    for answer in ("<html>", '{"AccessKeyId": "test"}', "[]"):
        endpoint.give(answer)
        commands.run(environment | named, "dlq", "list", status=2)
