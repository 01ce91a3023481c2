import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.package import build
from local import paths
from local.errors import StackError
from local.pipeline.deployment import Deployment, delete, deploy, find
from local.pipeline.templates import load
from local.polling import wait_until
from local.stack import Stack
from tests.support.deployments import mapping_of

DAYS_14_IN_SECONDS = str(14 * 24 * 3600)
MIB = str(1024 * 1024)

IMPOSSIBLE = """
Parameters:
  TableStreamArns: {Type: String}
  CodeBucket: {Type: String}
  CodeKey: {Type: String}
  Runtime: {Type: String}
  Architecture: {Type: String}
Resources:
  Misnamed:
    Type: AWS::SQS::Queue
    Properties: {QueueName: not-fifo, FifoQueue: true}
"""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack("embedded") as running:
        yield running


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("package") / "producer.zip"
    build(path)
    return path


@pytest.fixture(scope="module")
def deployment(stack: Stack, package: Path) -> Deployment:
    parameters = {
        "VisibilityTimeout": "7",
        "MaxReceiveCount": "3",
        "Lanes": "8",
    }
    return deploy(stack, "first", package=package, table="example", parameters=parameters)


def test_a_pipeline_that_stands_is_found(stack: Stack, deployment: Deployment) -> None:
    """So that `docker compose up` can be run again."""
    assert find(stack, deployment.name) == replace(deployment, streams=(), example_table="")
    assert find(stack, "nobody-made-it") is None


def queue_attributes(stack: Stack, url: str) -> dict[str, str]:
    attributes = stack.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return {str(name): value for name, value in attributes.items()}


def test_both_queues_take_every_item_and_keep_it_long(stack: Stack, deployment: Deployment) -> None:
    """FIFO with high throughput, 1 MiB, 14 days: the defaults of CloudFormation would lose changes."""
    for url in (deployment.queue_url, deployment.dead_letter_queue_url):
        attributes = queue_attributes(stack, url)
        assert attributes["FifoQueue"] == "true"
        assert attributes["DeduplicationScope"] == "messageGroup"
        assert attributes["FifoThroughputLimit"] == "perMessageGroupId"
        assert attributes["ContentBasedDeduplication"] == "false"
        assert attributes["MaximumMessageSize"] == MIB
        assert attributes["MessageRetentionPeriod"] == DAYS_14_IN_SECONDS
        assert attributes["SqsManagedSseEnabled"] == "true"
        assert attributes["VisibilityTimeout"] == "7"


def test_the_size_limit_does_not_hang_on_a_default() -> None:
    """The emulator's default is 1 MiB, CloudFormation's on AWS is not: the template must set it."""
    resources = load(paths.TEMPLATE.read_text())["Resources"].values()
    queues = [each for each in resources if isinstance(each, dict) and each["Type"] == "AWS::SQS::Queue"]
    assert [queue["Properties"]["MaximumMessageSize"] for queue in queues] == [int(MIB), int(MIB)]


def test_the_queues_know_each_other(stack: Stack, deployment: Deployment) -> None:
    """SQS moves what no writer could process to the dead-letter queue, which accepts no other queue."""
    queue = queue_attributes(stack, deployment.queue_url)
    dead_letters = queue_attributes(stack, deployment.dead_letter_queue_url)
    redrive = json.loads(queue["RedrivePolicy"])
    assert redrive["deadLetterTargetArn"] == dead_letters["QueueArn"]
    assert int(redrive["maxReceiveCount"]) == 3
    assert json.loads(dead_letters["RedriveAllowPolicy"]) == {
        "redrivePermission": "byQueue",
        "sourceQueueArns": [queue["QueueArn"]],
    }


def test_the_function_has_its_settings(stack: Stack, deployment: Deployment) -> None:
    """The producer reads all its settings from its environment."""
    configuration = stack.client("lambda").get_function_configuration(FunctionName=deployment.function_name)
    assert configuration["Environment"]["Variables"] == {
        "QUEUE_URL": deployment.queue_url,
        "DEAD_LETTER_QUEUE_URL": deployment.dead_letter_queue_url,
        "LANES": "8",
        "OLD_IMAGE_FIELDS": "",
        "LOG_LEVEL": "INFO",
    }


def test_the_stream_is_mapped_to_the_function(stack: Stack, deployment: Deployment) -> None:
    """It starts at the oldest record, and reports partial failures."""
    (stream,) = deployment.streams
    mapping = stack.client("lambda").get_event_source_mapping(UUID=mapping_of(stack, deployment, stream))
    assert mapping["EventSourceArn"] == stream
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["StartingPosition"] == "TRIM_HORIZON"
    assert mapping["BatchSize"] == 1000
    table = stack.client("dynamodb").describe_table(TableName=deployment.example_table)["Table"]
    assert table["LatestStreamArn"] == stream
    assert table["StreamSpecification"]["StreamViewType"] == "NEW_AND_OLD_IMAGES"


def test_the_packaged_function_forwards_a_change(stack: Stack, deployment: Deployment) -> None:
    """The package works as the emulator runs it: a put becomes a message in the FIFO queue."""
    stack.client("dynamodb").put_item(TableName=deployment.example_table, Item={"id": {"N": "1"}})
    sqs = stack.client("sqs")
    messages = wait_until(
        lambda: sqs.receive_message(QueueUrl=deployment.queue_url, WaitTimeSeconds=1).get("Messages"),
        what="the message",
    )
    assert json.loads(messages[0]["Body"])["table"] == deployment.example_table


def functions_and_buckets(stack: Stack) -> tuple[set[str], set[str]]:
    functions = stack.client("lambda").list_functions()["Functions"]
    buckets = stack.client("s3").list_buckets()["Buckets"]
    return {each["FunctionName"] for each in functions}, {each["Name"] for each in buckets}


def test_another_deployment_shares_nothing_with_the_first(
    stack: Stack, deployment: Deployment, package: Path
) -> None:
    """Several deployments can live on one emulator, and one can be deleted without harm to the others."""
    before = functions_and_buckets(stack)
    streams = {"TableStreamArns": deployment.streams[0]}
    second = deploy(stack, "second", package=package, parameters=streams)
    assert second.streams == deployment.streams
    names = {deployment.queue_url, deployment.dead_letter_queue_url, deployment.function_name}
    assert names.isdisjoint({second.queue_url, second.dead_letter_queue_url, second.function_name})
    delete(stack, second)
    assert functions_and_buckets(stack) == before


def test_a_deployment_without_a_table_is_refused(stack: Stack, package: Path) -> None:
    """Neither an example table nor a stream: the parameter's pattern refuses that."""
    with pytest.raises(StackError, match="TableStreamArns"):
        deploy(stack, "third", package=package)


def test_the_reasons_of_a_failed_deployment_are_told(
    stack: Stack, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says which resource failed, and why."""
    template = tmp_path / "template.yaml"
    template.write_text(IMPOSSIBLE)
    monkeypatch.setattr("local.paths.TEMPLATE", template)
    with pytest.raises(StackError, match=r"ROLLBACK(.|\n)*Misnamed: .*\.fifo"):
        deploy(stack, "fourth", package=package)
