"""The mistakes that operators make: one sentence names what to set, and setting it helps.

A row is a command with a mistake, the exit status, what the sentence has to name, and the same command after
its advice was followed. The second run must not say the same again.
"""

from __future__ import annotations

import json
import re
import secrets
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus, urlsplit

import pymongo
import pytest

from local.servers.mongod import REPLICA_SET, Mongod
from tests.support.commands import Result, replicator
from tests.support.operator_mistakes import ROWS
from writer.mongodb import client as mongodb_client
from writer.names import TOMBSTONES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.stack import Stack

_FRAME = re.compile(r"[╭╮╰╯│─]")
_USAGE = re.compile(r"^(Usage: |Try '|\s*$|\s*Error\s*$)")
_OF_THE_COMMAND = (
    *("REPLICATOR_STACK", "REPLICATOR_FUNCTION", "REPLICATOR_WRITERS", "REPLICATOR_LOG_GROUPS"),
    *("QUEUE_URL", "DEAD_LETTER_QUEUE_URL", "MONGODB_URI", "MONGODB_DATABASE", "REPLICATION_FILE"),
    *("AWS_PROFILE", "FORCE_COLOR"),
)


@pytest.fixture(scope="module")
def mongod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    """One that asks for passwords, with a user `one` who may write, and `none` who may not."""
    folder = tmp_path_factory.mktemp("mistakes")
    key_file = folder / "members.key"
    key_file.write_text(secrets.token_hex(32))
    key_file.chmod(0o400)
    with Mongod(folder, options=("--auth", "--keyFile", key_file)) as server:
        server.wait()
        with pymongo.MongoClient[dict[str, Any]](server.address, directConnection=True) as client:
            client.admin.command("createUser", "root", pwd="root", roles=["root"])
        with pymongo.MongoClient[dict[str, Any]](
            server.address, directConnection=True, username="root", password="root"
        ) as client:
            client.admin.command("createUser", "one", pwd="one", roles=["readWriteAnyDatabase"])
            client.admin.command("createUser", "none", pwd="none", roles=[])
        yield server


@pytest.fixture(scope="module")
def world(stack: Stack, mongod: Mongod, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What the rows name."""
    yield from _world(stack, mongod, tmp_path_factory.mktemp("files"))


def _world(stack: Stack, mongod: Mongod, folder: Path) -> Iterator[dict[str, str]]:
    name = f"m{secrets.token_hex(6)}"
    make: Any = stack.client  # of any service, without its types
    sqs, dynamodb, cloudformation, logs = map(make, ("sqs", "dynamodb", "cloudformation", "logs"))
    fifo: Any = {"FifoQueue": "true", "MaximumMessageSize": "1048576", "MessageRetentionPeriod": "1209600"}
    dead = sqs.create_queue(QueueName=f"{name}-dead.fifo", Attributes=fifo)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 10})
    queue = sqs.create_queue(QueueName=f"{name}.fifo", Attributes=fifo | {"RedrivePolicy": policy})[
        "QueueUrl"
    ]
    standard = sqs.create_queue(QueueName=name)["QueueUrl"]
    for table, stream in ((name, True), (f"s{name}", False)):
        described: Any = {"StreamEnabled": stream} | (
            {"StreamViewType": "NEW_AND_OLD_IMAGES"} if stream else {}
        )
        dynamodb.create_table(
            TableName=table,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "N"}],
            BillingMode="PAY_PER_REQUEST",
            **({"StreamSpecification": described} if stream else {}),
        )
    outputs = {"QueueUrl": queue, "DeadLetterQueueUrl": dead, "FunctionName": "f"}
    for stack_name, found in ((name, outputs), (f"{name}-other", {"BucketName": "b"})):
        template = {
            "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
            "Outputs": {each: {"Value": value} for each, value in found.items()},
        }
        cloudformation.create_stack(StackName=stack_name, TemplateBody=json.dumps(template))
    logs.create_log_group(logGroupName=f"/{name}")
    files = {
        "mapping": f"tables:\n  {name}: {{key: [id]}}\n",
        "broken": "tables:\n  people:\n    key: [id\n  orders: {}\n",
        "unknown_key": f"tables:\n  {name}: {{collections: people}}\n",
        "unknown_value": f"tables:\n  {name}: {{fields: {{a: {{convert: epoch}}}}}}\n",
        "shared": "tables:\n  a: {collection: c}\n  b: {collection: c}\n",
        "no_hook": "tables:\n  a: {hook: 'no_such_module:f'}\n",
    }
    for each, text in files.items():
        (folder / f"{each}.yaml").write_text(text)
    (folder / "latin.yaml").write_bytes("tables: {} # größe".encode("latin-1"))
    (folder / "folder").mkdir()
    with pymongo.MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
        for collection in (name, TOMBSTONES):  # writers have worked here
            client[name].create_collection(collection)
    uri = f"{{}}{mongod.address}/?replicaSet={REPLICA_SET}&authSource=admin"
    yield {
        "table": name,
        "still": f"s{name}",
        "queue": queue,
        "dead": dead,
        "standard": standard,
        "stack": name,
        "other_stack": f"{name}-other",
        "group": f"/{name}",
        "mongodb": stack.mongodb_uri,
        "mongodb_host": urlsplit(stack.mongodb_uri).netloc,
        "database": name,
        "wrong_password": uri.format(f"mongodb://one:{quote_plus('two')}@"),
        "right_password": uri.format("mongodb://one:one@"),
        "no_rights": uri.format("mongodb://none:none@"),
        "folder": str(folder / "folder"),
        "latin": str(folder / "latin.yaml"),
        "new": str(folder / "new.yaml"),
        "newer": str(folder / "newer.yaml"),
        **{each: str(folder / f"{each}.yaml") for each in files},
    }
    for url in (queue, dead, standard):
        sqs.delete_queue(QueueUrl=url)
    for table in (name, f"s{name}"):
        dynamodb.delete_table(TableName=table)
    for stack_name in (name, f"{name}-other"):
        cloudformation.delete_stack(StackName=stack_name)
    with pymongo.MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
        client.drop_database(name)


@pytest.fixture(autouse=True)
def environment(
    aws_environment: None,  # noqa: ARG001 - its effect
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """That of an operator who has set nothing but AWS; MongoDB is given up soon."""
    for name in _OF_THE_COMMAND:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "1000")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(mongodb_client, "_SELECTION_MS", 500)


def run(line: str, world: dict[str, str]) -> Result:
    """Runs a command as it is typed; parts of the world have no blanks."""
    arguments = [each.strip("'") for each in re.findall(r"'[^']*'|\S+", line)]
    return replicator(*(each.format_map(world) for each in arguments), typed="y\n")


def sentences(result: Result) -> list[str]:
    """What a command says on standard error, without the frame that typer draws around wrong use."""
    plain = [_FRAME.sub("", line).strip() for line in result.err.splitlines()]
    return [line for line in plain if line and not _USAGE.match(line)]


def findings(result: Result) -> list[str]:
    """What a command says on standard output of what it looked at, a finding each."""
    if not result.out.startswith("{"):
        return [f"{before} {line}" for before, line in pairwise(["", *result.out.splitlines()])]
    checks = json.loads(result.out)["checks"]
    return [f"{each['text']} {each['advice']}" for each in checks if each["well"] is not True]


def test_there_are_fifty() -> None:
    """No two of them alike."""
    assert len({(row.arguments, str(row.env), row.without) for row in ROWS.values()}) >= 50


@pytest.mark.parametrize("name", ROWS)
def test_a_mistake(name: str, world: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Its sentence names what to set, and setting it helps."""
    row = ROWS[name]
    read = findings if row.findings else sentences
    with monkeypatch.context() as mistaken:
        for variable in row.without:
            mistaken.delenv(variable)
        for variable, value in row.env.items():
            mistaken.setenv(variable, value)
        result = run(row.arguments, world)
    assert result.status == row.status, result
    assert "Traceback" not in result.out + result.err
    said = read(result)
    assert sum(text.startswith("replicator: ") for text in said) <= 1, said
    wanted = [each.format_map(world) for each in row.says]
    named = [text for text in said if all(each in text for each in wanted)]
    assert named, (wanted, said)
    assert row.findings or len(named) == 1, said  # beside what a migration says before it begins
    after = run(row.then or row.arguments, world)
    assert after.status in (0, 1, 2, 3)
    again = [text for text in read(after) if all(each in text for each in wanted)]
    assert not again, "the advice did not help"
