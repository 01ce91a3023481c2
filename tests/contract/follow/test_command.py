"""`replicator follow` where something is wrong: a sentence that says what to do, and exit status 2."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from local import paths
from tests.support.refusing_proxy import refusing_proxy

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.stack import Stack


@pytest.fixture
def table(stack: Stack, unique: str) -> str:
    """A table with a stream."""
    stack.client("dynamodb").create_table(
        TableName=unique,
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    return unique


@pytest.fixture
def refused(stack: Stack, database: str) -> Callable[..., str]:
    """What `follow` says where it has to end with status 2."""

    def run(*arguments: str, **variables: str) -> str:
        target = {"MONGODB_URI": stack.mongodb_uri, "MONGODB_DATABASE": database}
        ran = subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-m", "ops", "follow", *arguments],
            env=stack.process_environment() | target | variables,
            cwd=paths.ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ran.returncode, ran.stdout) == (2, ""), ran.stderr
        return " ".join(ran.stderr.replace("│", " ").split())

    return run


def test_the_line_of_the_page(stack: Stack, table: str, database: str) -> None:
    """What docs/follow.md begins with works as it is shown, and says at its end what was copied."""
    stack.client("dynamodb").put_item(TableName=table, Item={"id": {"S": "1"}})
    page = (paths.ROOT / "docs" / "follow.md").read_text(encoding="utf-8")
    lines = page.partition("```sh\n")[2].partition("```")[0]
    target = {"MONGODB_URI": stack.mongodb_uri, "MONGODB_DATABASE": database}
    programs = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    ran = subprocess.run(  # noqa: S603 - our own page
        ["bash", "-euc", lines.replace("people", table)],  # noqa: S607 - whichever bash is there
        env=stack.process_environment() | target | programs,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (0, ""), ran.stderr
    assert f"{table}: copied: 1 items read" in ran.stderr


def test_the_wrong_table(refused: Callable[..., str], table: str) -> None:
    """One that does not exist, or is elsewhere; and patterns, which stand for tables of a pipeline."""
    said = refused(f"{table}-not", "--no-mapping")
    assert f"there is no table '{table}-not' in the region us-east-1: check the name, the region" in said
    assert "is a pattern: name each table" in refused("a-*", "--no-mapping")
    assert "Missing argument 'TABLE'" in refused()


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"MONGODB_URI": "mongodb://127.0.0.1:1/"}, "check the host and port in MONGODB_URI"),
        ({"MONGODB_URI": "http://127.0.0.1:1/"}, "begins neither with mongodb:// nor with mongodb+srv://"),
        ({"MONGODB_URI": ""}, "no target is given: give --mongodb-uri (MONGODB_URI)"),
        ({"MONGODB_DATABASE": ""}, "no target is given: give --mongodb-database (MONGODB_DATABASE)"),
        ({"AWS_REGION": "no region"}, "check AWS_REGION, or --region"),
        ({"AWS_REGION": "", "AWS_DEFAULT_REGION": ""}, "AWS_REGION"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "looking at the table"),
    ],
)
def test_the_wrong_place(
    refused: Callable[..., str], table: str, variables: dict[str, str], sentence: str
) -> None:
    """It names what to look at, and does not wait for what never was there."""
    if "127.0.0.1:1/" in variables.get("MONGODB_URI", ""):
        variables = {each: f"{uri}?serverSelectionTimeoutMS=500" for each, uri in variables.items()}
    assert sentence in refused(table, "--no-mapping", **variables)


@pytest.mark.parametrize(
    ("mapping", "sentence"),
    [
        ("tables: {x: {kee: [id]}}", ":1:14: tables.x.kee: there is no such setting (did you mean key?)"),
        ("unnamed_tables: refuse\ntables: {x: {key: [id]}}", "the mapping does not name the table"),
        ("tables: {'*': {key: [other]}}", "key"),
    ],
)
def test_the_wrong_mapping(
    refused: Callable[..., str], table: str, tmp_path: Path, mapping: str, sentence: str
) -> None:
    """With its place in the file; or the table's key is another one."""
    file = tmp_path / "my.yaml"
    assert "No such file" in refused(table, "--replication-file", str(file))
    file.write_text(mapping)
    assert sentence in refused(table, "--replication-file", str(file))


def test_no_stream(refused: Callable[..., str], table: str, stack: Stack) -> None:
    """The line that turns it on; there is no pipeline to deploy."""
    dynamodb = stack.client("dynamodb")
    dynamodb.update_table(TableName=table, StreamSpecification={"StreamEnabled": False})
    said = refused(table, "--no-mapping")
    assert f"the table {table} has no stream: aws dynamodb update-table --table-name {table} " in said
    assert said.endswith("then run the same command again")


@pytest.mark.parametrize(
    "action",
    ["dynamodb:DescribeTable", "dynamodb:Scan"]
    + [f"dynamodb:{each}" for each in ("DescribeStream", "GetShardIterator", "GetRecords")],
)
def test_no_rights(refused: Callable[..., str], table: str, stack: Stack, action: str) -> None:
    """It names the permission that is missing."""
    stack.client("dynamodb").put_item(TableName=table, Item={"id": {"S": "1"}})
    with refusing_proxy(stack.endpoint_url) as proxy:
        proxy.refused = {action}
        said = refused(table, "--no-mapping", AWS_ENDPOINT_URL=proxy.url)
    permission = f"the permission for {action.partition(':')[2]} is missing"
    assert permission in said or f"give the permission {action} on arn:" in said
