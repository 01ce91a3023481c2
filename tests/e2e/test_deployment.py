"""The templates as a platform engineer uses them: deployed, combined, updated under load, deleted."""

from __future__ import annotations

import json
import re
import shutil
import threading
import zipfile
from typing import TYPE_CHECKING, Any, Self

import pymongo
import pytest

from local import paths
from local.errors import StackError
from local.pipeline.deployment import (
    create_stack,
    delete,
    delete_stack,
    deploy,
    outputs_of,
)
from local.pipeline.tables import create_table
from local.pipeline.templates import load
from local.pipeline.writer_process import WriterProcess
from local.polling import HANG_TIMEOUT_S
from producer_lambda.handler import lambda_handler
from replicator_testing import Pipeline
from tests.support.builders import LABEL, body_of, put
from tests.support.deployments import mapping_of, update, without_types
from tests.support.images import WRITER, copied
from tests.support.lambda_environment import LONGEST_INVOCATION_S, Deadline
from tests.support.recording_proxy import recorded
from tests.support.writer_stack import (
    NOT_IN_THE_EMULATOR,
    WRITER_TEMPLATE,
    client,
    permissions_of,
    variables_of_the_task,
    writer_parameters,
)
from writer.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from local.pipeline.deployment import Deployment
    from local.stack import Stack
    from tests.conftest import DeployLambda

BY_LAMBDA_ITSELF = {
    "dynamodb:DescribeStream",
    "dynamodb:GetRecords",
    "dynamodb:GetShardIterator",
    "dynamodb:ListStreams",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
}
"""What the Lambda service does in the role's name (developer guide, "Using AWS Lambda with Amazon DynamoDB",
"Sending function logs to CloudWatch Logs"): no code of ours makes these calls, so none can be recorded."""


@pytest.fixture(scope="module")
def deployment(stack: Stack, replicator_package: Path) -> Iterator[Deployment]:
    made = deploy(
        stack, "plain", package=replicator_package, table="plain", parameters={"VisibilityTimeout": "5"}
    )
    yield made
    delete(stack, made)


@pytest.fixture(scope="module")
def writer_outputs(stack: Stack, deployment: Deployment) -> Iterator[Mapping[str, str]]:
    """deploy/writer.yaml without the scaling, the only part that the emulator does not know."""
    if reason := stack.capabilities.writer_service:
        pytest.skip(reason)
    template, gone = without_types(load(WRITER_TEMPLATE.read_text()), NOT_IN_THE_EMULATOR)
    assert gone == ["ScalableTarget", "BacklogScaling", "WakeUpScaling"]
    given = outputs_of(stack, deployment.name)
    parameters = {name: given[name] for name in given if name in template["Parameters"]}
    assert len(parameters) == 4, "outputs of one are parameters of the other, by their names"
    create_stack(stack, "plain-writer", json.dumps(template), writer_parameters(parameters))
    yield outputs_of(stack, "plain-writer")
    delete_stack(stack, "plain-writer")


def test_the_writer_runs_on_what_its_stack_gives_it(
    stack: Stack, deployment: Deployment, writer_outputs: Mapping[str, str], tmp_path: Path
) -> None:
    """A writer needs the environment of the task, with the secret, and a mapping that names the table."""
    given = variables_of_the_task(stack, writer_outputs)
    (path,) = (source for source, place in copied(WRITER).items() if place == given["REPLICATION_FILE"])
    mapping = tmp_path / "replication.yaml"
    mapping.write_text((paths.ROOT / path).read_text().replace("tables: {}", "tables: {plain: {}}"))
    given["REPLICATION_FILE"] = str(mapping)
    uri = {"MONGODB_URI": stack.mongodb_uri}
    settings = Settings.read(given | uri)
    assert (settings.pool_size, settings.status_port) == (4, 8080)
    writer = WriterProcess(
        stack, deployment, log=tmp_path / "writer.log", replication_file=None, settings=given
    )
    try:
        writer.wait()
        stack.client("dynamodb").put_item(TableName="plain", Item={"id": {"N": "1"}})
        with pymongo.MongoClient[dict[str, Any]](stack.mongodb_uri) as mongodb:
            collection = mongodb[settings.mongodb_database]["plain"]
            writer.child.wait_until(lambda: collection.find_one({"_id": 1}), what="the document")
            mongodb.drop_database(settings.mongodb_database)
    finally:
        writer.kill()


@pytest.mark.usefixtures("writer_outputs")
def test_the_roles_allow_what_the_code_does_and_no_more(
    stack: Stack,
    deployment: Deployment,
    deploy_lambda: DeployLambda,
    tmp_path: Path,
) -> None:
    """Every call of the producer and of a writer is recorded: one permission too few or too many fails."""
    queue, dead_letters = (
        url.rpartition("/")[2] for url in (deployment.queue_url, deployment.dead_letter_queue_url)
    )
    with recorded(stack.endpoint_url) as producer:
        deploy_lambda(deployment.queue_url, deployment.dead_letter_queue_url, producer.url)
        good, malformed = record("1"), record("2")
        malformed["dynamodb"]["NewImage"] = {"id": {"N": "many"}}
        lambda_handler({"Records": [good, malformed]}, Deadline(LONGEST_INVOCATION_S))
    assert producer.calls == {
        (action, name)
        for action, name in permissions_of(stack, deployment.name, "ProducerRole")
        if action not in BY_LAMBDA_ITSELF
    }
    assert {action for action, _ in permissions_of(stack, deployment.name, "ProducerRole")} > BY_LAMBDA_ITSELF

    sqs = stack.client("sqs")
    bodies = [body_of(put(n, n, table="plain", unique="a")) for n in (3, 4)] + ["no envelope"]
    for number, body in enumerate(bodies):
        sqs.send_message(
            QueueUrl=deployment.queue_url,
            MessageBody=body,
            MessageGroupId=str(number),
            MessageDeduplicationId=f"recorded-{number}",
        )
    with (
        recorded(stack.endpoint_url) as calls,
        pymongo.MongoClient[dict[str, Any]](stack.mongodb_uri) as mongodb,
    ):
        # Two items have the same value of a unique index: one of them is given back, for a retry.
        mongodb["recorded"]["plain"].create_index("unique", unique=True)
        writer = WriterProcess(
            stack,
            deployment,
            log=tmp_path / "writer.log",
            replication_file=None,
            settings={"AWS_ENDPOINT_URL": calls.url, "MONGODB_DATABASE": "recorded"},
        )
        try:
            writer.wait()
            writer.child.wait_until(lambda: len(calls.calls) >= 6, what="a call of every kind")
        except StackError as error:
            raise AssertionError(f"recorded were only {calls.calls}: {writer.log.read_text()}") from error
        finally:
            writer.stop()
        mongodb.drop_database("recorded")
    assert calls.calls == permissions_of(stack, "plain-writer", "TaskRole")
    assert {queue, dead_letters} == {name for _, name in calls.calls}


def test_the_secret_is_read_by_ecs_and_named_nowhere_else() -> None:
    """A connection string with a password reaches the task as a secret; the parameter takes none."""
    template = load(WRITER_TEMPLATE.read_text())
    (container,) = template["Resources"]["TaskDefinition"]["Properties"]["ContainerDefinitions"]
    secret, key = {"Ref": "MongoDbUriSecretArn"}, "${MongoDbUriSecretArn}:${MongoDbUriSecretKey}::"
    place = {"Fn::If": ["HasSecretKey", {"Fn::Sub": key}, secret]}
    assert container["Secrets"] == {
        "Fn::If": ["HasSecret", [{"Name": "MONGODB_URI", "ValueFrom": place}], {"Ref": "AWS::NoValue"}]
    }
    pattern = template["Parameters"]["MongoDbUri"]["AllowedPattern"]
    for good in ("mongodb+srv://h.example.net/?authMechanism=MONGODB-AWS", "mongodb://CN=w@h:27017,i:27017/"):
        assert re.search(pattern, good)
    for bad in ("mongodb://u:p@h/", "mongodb+srv://u:p%40@h", "mongodb://u:p@h,u:p@i/", "https://h"):
        assert not re.search(pattern, bad)
    assert container["HealthCheck"]["Command"][-1] == "/app/healthcheck.py"


def test_an_update_under_load_loses_nothing(stack: Stack, replicator_package: Path, tmp_path: Path) -> None:
    """New code, other settings, a table added and one removed, while items are put: all items arrive."""
    other = tmp_path / "other.zip"
    shutil.copy(replicator_package, other)
    with zipfile.ZipFile(other, "a") as package:
        package.writestr("next_version.txt", "another package")
    with Pipeline.start(stack, tmp_path, package=replicator_package, mapping="tables: {}") as pipeline:
        before = pipeline.deployment
        functions = stack.client("lambda")
        first = mapping_of(stack, before, before.streams[0])
        added = f"{pipeline.table}-added"
        second_stream = create_table(stack, added, id="N")
        with Load(stack, pipeline.table, added) as traffic:
            traffic.wait_for(20)
            two = update(
                stack,
                before,
                package=other,
                parameters={"TableStreamArns": f"{before.streams[0]},{second_stream}", "Lanes": "8"},
            )
            traffic.wait_for(60)
            assert mapping_of(stack, two, before.streams[0]) == first, "a mapping made anew reads all again"
            if stack.capabilities.mapping_updates is None:
                update(stack, two, package=other, parameters={"BatchSize": "70"})
                assert functions.get_event_source_mapping(UUID=first)["BatchSize"] == 70
            traffic.wait_for(100)
        for table in (pipeline.table, added):
            pipeline.wait_for_documents(table, [{"_id": n, "id": n} for n in range(traffic.number)])
        variables = functions.get_function_configuration(FunctionName=two.function_name)["Environment"]
        assert variables["Variables"]["LANES"] == "8"
        update(stack, two, package=other, parameters={"TableStreamArns": before.streams[0]})
        mappings = functions.list_event_source_mappings(FunctionName=two.function_name)
        assert [each["UUID"] for each in mappings["EventSourceMappings"]] == [first]
        stack.client("dynamodb").delete_table(TableName=added)


def test_a_deleted_stack_leaves_the_queues_and_nothing_else(
    stack: Stack, replicator_package: Path, needs: Callable[[str], None]
) -> None:
    """The queues, which may hold changes, stay; everything else is deleted."""
    needs("retained_queues")
    made = deploy(stack, "gone", package=replicator_package, table="gone")
    resources = client(stack, "cloudformation").describe_stack_resources(StackName="gone")["StackResources"]
    assert len(resources) == 14, [each["LogicalResourceId"] for each in resources]
    delete(stack, made)
    assert not client(stack, "cloudwatch").describe_alarms(AlarmNamePrefix="gone-")["MetricAlarms"]
    assert not client(stack, "cloudwatch").list_dashboards(DashboardNamePrefix="gone")["DashboardEntries"]
    assert not [
        role for role in client(stack, "iam").list_roles()["Roles"] if role["RoleName"].startswith("gone-")
    ]
    functions = stack.client("lambda").list_functions()["Functions"]
    assert not [each for each in functions if each["FunctionName"] == made.function_name]
    assert "gone" not in json.dumps(client(stack, "logs").describe_log_groups()["logGroups"])
    sqs = stack.client("sqs")
    for url in (made.queue_url, made.dead_letter_queue_url):
        sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])  # raises if it does not exist
        sqs.delete_queue(QueueUrl=url)


class Load:
    """Puts items 0, 1, 2, … into tables until the end of its block."""

    def __init__(self, stack: Stack, *tables: str) -> None:
        self.number = 0
        self._stack = stack
        self._tables = tables
        self._stop = threading.Event()
        self._moved = threading.Condition()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def wait_for(self, number: int) -> None:
        """Returns when so many items were put."""
        with self._moved:
            assert self._moved.wait_for(lambda: self.number >= number, timeout=HANG_TIMEOUT_S)

    def _run(self) -> None:
        dynamodb = self._stack.client("dynamodb")
        while not self._stop.is_set():
            for table in self._tables:
                dynamodb.put_item(TableName=table, Item={"id": {"N": str(self.number)}})
            with self._moved:
                self.number += 1
                self._moved.notify_all()


def record(key: str) -> dict[str, Any]:
    """A record of the stream, as in a Lambda event."""
    item = {"id": {"N": key}}
    return {
        "eventID": key * 32,
        "eventName": "INSERT",
        "eventSource": "aws:dynamodb",
        "eventSourceARN": f"arn:aws:dynamodb:us-east-1:000000000000:table/plain/stream/{LABEL}",
        "dynamodb": {
            "ApproximateCreationDateTime": 1_588_166_542,
            "Keys": item,
            "NewImage": item,
            "SequenceNumber": f"51234000000000063909061{key}",
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
    }
