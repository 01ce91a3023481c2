"""`replicator doctor` before there is a pipeline: no trace in MongoDB; TLS; an AWS that is away."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pymongo
import pytest

from ops.doctor.looking import CHECK_NETWORK
from tests.contract.secure_mongod import secure_mongod
from tests.support.commands import replicator
from writer.mongodb import client as mongodb_client
from writer.names import TOMBSTONES

if TYPE_CHECKING:
    from pathlib import Path

    from local.stack import Stack


@pytest.fixture(autouse=True)
def environment(aws_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 - its effect
    """An operator who has set nothing but AWS."""
    for name in ("REPLICATOR_STACK", "QUEUE_URL", "DEAD_LETTER_QUEUE_URL", "MONGODB_URI", "REPLICATION_FILE"):
        monkeypatch.delenv(name, raising=False)


def checks(uri: str, database: str, *options: str) -> list[dict[str, Any]]:
    """What each check found."""
    settings = ("--mongodb-uri", uri, "--mongodb-database", database)
    found: list[dict[str, Any]] = json.loads(replicator("doctor", "--json", *settings, *options).out)[
        "checks"
    ]
    return found


def looked(uri: str, database: str, *options: str) -> dict[str, tuple[bool | None, str]]:
    """What each check found: well or not, and its words."""
    return {each["check"]: (each["well"], each["text"]) for each in checks(uri, database, *options)}


def test_rights_are_tried_without_a_trace(stack: Stack, database: str) -> None:
    """Not even the database is made; where writers have worked, their collection is as it was."""
    with pymongo.MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
        found = looked(stack.mongodb_uri, database)
        assert found["mongodb-rights"][0] is True
        assert found["mongodb-database"][0] is None
        assert database not in client.list_database_names()
        client[database][TOMBSTONES].insert_one({"_id": 1})
        found = looked(stack.mongodb_uri, database)
        assert found["mongodb-rights"][0] is True
        assert "mongodb-database" not in found
        assert list(client[database][TOMBSTONES].find()) == [{"_id": 1}]
        client[database].drop_collection(TOMBSTONES)
        client[database].create_collection(TOMBSTONES, viewOn="other", pipeline=[])
        well, text = looked(stack.mongodb_uri, database)["mongodb-rights"]
        assert (well, "is a view" in text) == (False, True)


def test_tls_is_seen(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a certificate that nobody trusts is named; no password is shown."""
    monkeypatch.setattr(mongodb_client, "_SELECTION_MS", 1_000)
    with secure_mongod(tmp_path) as mongod:
        found = looked(mongod.uri(), database)
        assert found["mongodb-tls"] == (
            True,
            f"The connection to {mongod.server.address} is encrypted (TLS).",
        )
        assert found["mongodb-rights"][0] is True
        found = looked(mongod.uri(mongod.stranger), database)
    well, text = found["mongodb-answers"]
    assert well is False
    assert mongod.server.address in text
    assert "certificate" in text
    assert "hunter2" not in str(found)


def test_an_aws_that_is_away_hides_nothing_of_mongodb(stack: Stack, database: str) -> None:
    """What AWS would say is not known; nobody is asked for the stack that was named."""
    found = checks(stack.mongodb_uri, database, "--stack", "s", "--endpoint-url", "http://127.0.0.1:9")
    states = {each["check"]: each["well"] for each in found}
    assert states["mongodb-server"] is True
    assert {states[check] for check in ("aws-credentials", "aws-clock", "stack")} == {None}
    advice = {each["check"]: str(each["advice"]) for each in found}
    assert advice["aws-credentials"] == advice["stack"] == CHECK_NETWORK
    assert [each for each in advice.values() if each.startswith("Give --stack")] == []
