"""What a server says of itself decides whether the writer starts."""

from __future__ import annotations

from typing import Any

import pytest

from writer.mongodb.opening import server_problem

MEMBER = {
    "setName": "rs0",
    "me": "127.0.0.1:27017",
    "hosts": ["127.0.0.1:27017"],
    "maxWireVersion": 17,
    "logicalSessionTimeoutMinutes": 30,
}
BUILD = {"version": "6.0.5", "modules": []}


def without(answer: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in answer.items() if key != name}


@pytest.mark.parametrize(
    "hello",
    [
        MEMBER,
        {**without(MEMBER, "setName"), "msg": "isdbgrid"},  # mongos
        {"isreplicaset": True, "maxWireVersion": 17},  # a member that is not initiated yet
    ],
)
def test_a_server_that_can_be_used(hello: dict[str, Any]) -> None:
    """A replica set, a sharded cluster; and what will be one is waited for."""
    assert server_problem(hello, BUILD) is None
    assert server_problem(hello, {}) is None  # it does not tell us


@pytest.mark.parametrize(
    ("hello", "build", "words"),
    [
        ({**MEMBER, "maxWireVersion": 9}, {"version": "4.4.29"}, "version 4.4.29"),
        (without(MEMBER, "setName"), BUILD, "--replSet"),
        (without(MEMBER, "logicalSessionTimeoutMinutes"), BUILD, "no sessions"),
        ({**MEMBER, "me": "a.b.eu-west-1.docdb.amazonaws.com:27017"}, BUILD, "Amazon DocumentDB"),
        ({**MEMBER, "hosts": ["x.mongo.cosmos.azure.com:10255"]}, BUILD, "Azure Cosmos DB"),
        ({**MEMBER, "internal": {"cosmos_versions": ["1.0"]}}, BUILD, "Azure Cosmos DB"),
        ({**MEMBER, "internal": {"documentdb_versions": ["1.0"]}}, BUILD, "DocumentDB"),
        (MEMBER, {**BUILD, "_t": "BuildInfoResponse"}, "Azure Cosmos DB"),
        (MEMBER, {**BUILD, "ferretdb": {"version": "v2.1.0"}}, "FerretDB"),
        (MEMBER, {**BUILD, "ferretdbVersion": "v1.24.0"}, "FerretDB"),
    ],
)
def test_a_server_that_cannot_be_used(hello: dict[str, Any], build: dict[str, Any], words: str) -> None:
    """The sentence says what it is, or what is missing."""
    assert words in (server_problem(hello, build) or "")
