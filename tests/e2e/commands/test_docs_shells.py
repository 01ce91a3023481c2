"""Every line for the AWS CLI and for mongosh that the documents and `make run` show: it runs as it is shown.

They run beside `make run`, which is what the documents speak of: the stack `replicator`, the table `mytable`,
the database `replicator`. What stands for something of the reader's own is replaced; nothing else is.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pymongo
import pytest
import yaml

from local.paths import ROOT
from local.polling import wait_until
from tests.support.local_run import started
from tests.support.shown_example import Example
from tests.support.shown_lines import AWS, MONGOSH, PAGES, blocks, elsewhere, fenced, spans, text_of
from tests.support.tools import find, need
from tests.support.writer_stack import QUEUES, writer_parameters

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPLOYMENT = "docs/deployment.md"
OTHER_TOOLS = "docs/other-tools.md"
RECIPES = "docs/recipes.md"

COMPLETED = {
    "aws cloudformation deploy": (
        "aws cloudformation deploy --stack-name replicator --template-file deploy/pipeline.yaml "
        "--capabilities CAPABILITY_IAM CAPABILITY_AUTO_EXPAND --parameter-overrides CodeKey=$OTHER_KEY\n"
        "aws cloudformation deploy --stack-name replicator-writer --template-file deploy/writer.yaml "
        "--capabilities CAPABILITY_IAM --parameter-overrides Image=$REPOSITORY:2"
    ),
    "aws ecs describe-tasks": "aws ecs describe-tasks --cluster $CLUSTER --tasks 0123456789abcdef",
    "aws ecs update-service --cluster … --service … --force-new-deployment": (
        "aws ecs update-service --cluster $CLUSTER --service $SERVICE --force-new-deployment"
    ),
    "aws lambda update-event-source-mapping --uuid … --no-enabled": (
        "aws lambda update-event-source-mapping --uuid $MAPPING --no-enabled"
    ),
    "aws sqs delete-queue": "aws sqs delete-queue --queue-url $DEAD_LETTER_QUEUE",
}
"""Code in sentences that runs after the first deployment, in this order, with what the reader fills in."""

SCALABLE_TARGET = (
    "aws application-autoscaling register-scalable-target --service-namespace ecs "
    "--scalable-dimension ecs:service:DesiredCount --resource-id service/CLUSTER/SERVICE "
    "--min-capacity 0 --max-capacity 0"
)
MOVE_TASK = "aws sqs start-message-move-task --source-arn DEAD-LETTER-QUEUE-ARN --destination-arn QUEUE-ARN"
NOT_RUN = {
    SCALABLE_TARGET: "MiniStack has no Application Auto Scaling",
    MOVE_TASK: "MiniStack does not know this action",
}
"""Lines that the emulator cannot run, and the reason. The CLI reads them, and checks their parameters."""

BLOCKS = {
    "README.md": 2,
    DEPLOYMENT: 9,
    "docs/docker.md": 1,
    "docs/mapping.md": 1,
    "docs/operations.md": 1,
    RECIPES: 6,
}
"""How many blocks there are on each page; each has its test below."""

TYPED = {
    'replicator init orders --output replication.yaml --mongodb-database shop | mongosh "$MONGODB_URI"',
    'db.people.find({"_ddb.deleted": null})',
}
"""Code in sentences for mongosh; each has its test."""


@pytest.fixture(scope="module")
def example(
    request: pytest.FixtureRequest, replicator_package: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Example]:
    """`make run` for the tests of this module, each of which has tables or a region of its own."""
    if request.config.getoption("--stack") == "localstack":
        pytest.skip("the documents' lines run beside make run on the embedded emulator: make test")
    need("aws", "mongosh")
    # As on a machine with the AWS CLI, for which other lines are printed.
    programs = f"{Path(str(find('aws'))).parent}:{os.environ['PATH']}"
    with started("--stack", "embedded", PATH=programs) as run:
        yield Example.of(run, tmp_path_factory.mktemp("terminal"), replicator_package)
        run.process.terminate()
        assert run.end() == 0, run.output


def replaced(script: str, **values: str) -> str:
    """The lines with a reader's own values: each name occurs."""
    for name, value in values.items():
        assert name in script
        script = script.replace(name, value)
    return script


def at(page: str, call: str) -> str:
    """The only block `sh` of a page in which there is such a call."""
    (block,) = blocks(text_of(page), call)
    return block


def steps_of_the_workflow() -> str:
    """What the workflow for GitHub Actions runs, of all its steps."""
    (block,) = fenced(OTHER_TOOLS, "yaml")
    (job,) = yaml.safe_load(block)["jobs"].values()
    return "".join(step["run"] for step in job["steps"] if "run" in step)


def test_every_line_is_run_or_listed() -> None:
    """A new line in the documents fails here until a test runs it, or says why none can."""
    everywhere = [(page, text_of(page)) for page in PAGES]
    lines = [line for line in steps_of_the_workflow().splitlines() if re.search(AWS, line)]
    found_elsewhere = {page: found for page, text in everywhere if (found := elsewhere(text, AWS))}
    assert {page: [line.strip() for line in found] for page, found in found_elsewhere.items()} == {
        OTHER_TOOLS: lines
    }
    counted = {page: len(blocks(text, f"{AWS}|{MONGOSH}")) for page, text in everywhere}
    assert {page: count for page, count in counted.items() if count} == BLOCKS
    alone = at("docs/operations.md", AWS).strip()
    listed = {span for _, text in everywhere for span in spans(text, AWS)} | {alone}
    assert listed == COMPLETED.keys() | NOT_RUN.keys()
    assert {span for _, text in everywhere for span in spans(text, MONGOSH)} == TYPED


def test_the_first_deployment(example: Example) -> None:
    """docs/deployment.md from its first line to a second table, the pause, and the end of a queue."""
    region = "eu-west-1"
    example.create_table("orders", "id", region=region)
    other = example.create_table("people", "id", region=region, stream=True)
    (example.terminal.folder / "mongodb-uri.txt").write_text("mongodb://db.example.com/?tls=true")
    *first, update = blocks(text_of(DEPLOYMENT), r"\S")
    script = replaced("".join(first), **{"vpc-…": "vpc-1", "subnet-…,subnet-…": "subnet-1,subnet-2"})
    # It does not find all well: writers of a stack on an emulator do not run.
    smoke = "replicator smoke-test --stack replicator"
    # No writer runs, so nothing arrives; the MongoDB is that of the example.
    here = {smoke: f"{smoke} --timeout 1 || test $? = 1", "$(cat mongodb-uri.txt)": "$MONGODB_URI"}
    script = replaced(script, **here)
    update = replaced(update, **{"replicator status --stack replicator": "replicator status || test $? != 2"})
    values = f"""
        export REPLICATOR_STACK=replicator OTHER_STREAM={other}
        OTHER_KEY=producer-2.zip; aws s3 cp build/producer.zip "s3://$BUCKET/$OTHER_KEY"
        DEAD_LETTER_QUEUE=$(output DeadLetterQueueUrl)
        writers() {{ aws cloudformation describe-stacks --stack-name replicator-writer --output text \\
          --query "Stacks[0].Outputs[?OutputKey=='$1'].OutputValue"; }}
        CLUSTER=$(writers ClusterName); SERVICE=$(writers ServiceName)
        MAPPING=$(aws lambda list-event-source-mappings --event-source-arn "$STREAM" \\
          --query 'EventSourceMappings[0].UUID' --output text)
        .venv/bin/replicator check-config deploy/image/replication.yaml
    """
    example.terminal.run("\n".join([script, values, update, *COMPLETED.values()]))

    cloudformation = example.client("cloudformation", region)
    (stack,) = cloudformation.describe_stacks(StackName="replicator")["Stacks"]
    parameters = {each["ParameterKey"]: each["ParameterValue"] for each in stack["Parameters"]}
    stream = example.client("dynamodb", region).describe_table(TableName="orders")["Table"]["LatestStreamArn"]
    assert parameters["CodeKey"] == "producer-2.zip"
    described = example.client("dynamodb", region).describe_table(TableName="replicator-smoke-test")
    smoke_stream = described["Table"]["LatestStreamArn"]
    assert parameters["TableStreamArns"] == f"{stream},{smoke_stream},{other}", (
        "deploy keeps what is not given"
    )
    mappings = example.client("lambda", region).list_event_source_mappings()["EventSourceMappings"]
    assert {each["EventSourceArn"]: each["State"] for each in mappings} == {
        stream: "Disabled",
        smoke_stream: "Enabled",
        other: "Enabled",
    }
    secret = example.client("secretsmanager", region).get_secret_value(SecretId="replicator/mongodb-uri")
    assert secret["SecretString"] == "mongodb://db.example.com/?tls=true"
    ecs = example.client("ecs", region)
    (cluster,) = ecs.list_clusters()["clusterArns"]
    (service,) = ecs.describe_services(
        cluster=cluster, services=ecs.list_services(cluster=cluster)["serviceArns"]
    )["services"]
    task = ecs.describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]
    image = "000000000000.dkr.ecr.eu-west-1.amazonaws.com/replicator-writer:2"
    assert [each["image"] for each in task["containerDefinitions"]] == [image]
    queues = example.client("sqs", region).list_queues()["QueueUrls"]
    assert not [url for url in queues if "dead" in url]


def test_the_workflow(example: Example) -> None:
    """docs/other-tools.md updates both stacks of a first deployment: another package, another image."""
    region, bucket = "eu-north-1", "workflow-code"
    example.client("s3", region).create_bucket(
        Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region}
    )
    stream = example.create_table("orders", "id", region=region, stream=True)
    queues = " ".join(f"{name}={value}" for name, value in writer_parameters(QUEUES).items())
    first = f"""
        aws cloudformation deploy --stack-name replicator-writer --template-file deploy/writer.yaml \
          --capabilities CAPABILITY_IAM --parameter-overrides {queues}
    """
    variables: dict[str, Any] = {
        "AWS_DEFAULT_REGION": region,
        "BUCKET": bucket,
        "REPOSITORY": "000000000000.dkr.ecr.eu-north-1.amazonaws.com/replicator-writer",
        "STREAMS": stream,
        "GITHUB_SHA": "0123abc",
    }
    for _ in range(2):  # a push that changes nothing is well, too
        example.terminal.run(first + steps_of_the_workflow(), **variables)
        first = ""
    mappings = example.client("lambda", region).list_event_source_mappings()["EventSourceMappings"]
    assert [each["EventSourceArn"] for each in mappings] == [stream]
    (stack,) = example.client("cloudformation", region).describe_stacks(StackName="replicator-writer")[
        "Stacks"
    ]
    parameters = {each["ParameterKey"]: each["ParameterValue"] for each in stack["Parameters"]}
    assert parameters["Image"] == f"{variables['REPOSITORY']}:0123abc"


def test_the_recipes(example: Example) -> None:
    """docs/recipes.md: a table is paused and goes on; green writers come, and blue ones go."""
    names, pause, resume, green, remove, redeploy = blocks(text_of(RECIPES), AWS)
    names = replaced(names, **{"TABLE=orders": "TABLE=mytable REPOSITORY=r.example.com/w"})
    given = " ".join(f"{name}={value}" for name, value in writer_parameters(QUEUES).items())
    blue = f"""
        aws cloudformation deploy --stack-name replicator-writer --template-file deploy/writer.yaml \\
          --capabilities CAPABILITY_IAM --parameter-overrides {given}
    """
    functions = example.client("lambda")

    def state() -> str:
        (mapping,) = functions.list_event_source_mappings()["EventSourceMappings"]
        return str(mapping["State"])

    example.terminal.run(names + pause)
    assert state() == "Disabled"
    example.terminal.run(names + pause + resume)
    wait_until(lambda: state() == "Enabled", what="the mapping to be on")

    example.terminal.run(names + blue + redeploy + green)
    cloudformation = example.client("cloudformation")

    def parameters(stack: str) -> dict[str, str]:
        (found,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
        return {each["ParameterKey"]: each["ParameterValue"] for each in found["Parameters"]}

    before, after = parameters("replicator-writer"), parameters("replicator-writer-green")
    assert after == before | {"Image": "r.example.com/w:2"}
    example.terminal.run(names + remove)
    ended = {"DELETE_COMPLETE", "DELETE_IN_PROGRESS"}
    left = [
        each["StackName"]
        for each in cloudformation.list_stacks()["StackSummaries"]
        if each["StackStatus"] not in ended
    ]
    assert "replicator-writer-green" in left
    assert "replicator-writer" not in left


@pytest.mark.parametrize("line", NOT_RUN)
def test_the_cli_takes_what_the_emulator_cannot_run(example: Example, line: str) -> None:
    """It checks names and values of the parameters, and would call AWS."""
    assert example.terminal.refused(line) == ""
    assert "Unknown options: --no-such" in example.terminal.refused(f"{line} --no-such")


@pytest.mark.parametrize("template", ["pipeline.yaml", "writer.yaml"])
def test_the_cli_takes_the_whole_templates(example: Example, template: str) -> None:
    """The emulator gets them without what it does not know. The CLI refuses one that is too large."""
    line = f"aws cloudformation deploy --stack-name any --template-file {ROOT}/deploy/{template}"
    assert example.terminal.refused(line) == ""


def test_the_deployment_of_the_readme(example: Example) -> None:
    """Two tables, a bucket of the reader's."""
    region, bucket = "eu-central-1", "readme-code"
    example.client("s3", region).create_bucket(
        Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region}
    )
    streams = [example.create_table(name, "id", region=region, stream=True) for name in ("one", "two")]
    block = at("README.md", r"aws cloudformation")
    values = {"YOUR-BUCKET": bucket, "YOUR-STREAM-ARN,ANOTHER-STREAM-ARN": ",".join(streams)}
    example.terminal.run(replaced(block, **values), AWS_DEFAULT_REGION=region)
    mappings = example.client("lambda", region).list_event_source_mappings()["EventSourceMappings"]
    assert {each["EventSourceArn"] for each in mappings} == set(streams)


def test_what_becomes_of_an_item(example: Example) -> None:
    """README.md and docs/mapping.md ask DynamoDB for an item, and `check-config` for its document."""
    item = {"id": {"N": "3"}, "Name": {"S": "Tom"}}
    example.client("dynamodb").put_item(TableName="mytable", Item=item)
    assert '"Name": "Tom"' in example.terminal.run(at("README.md", "aws dynamodb get-item"))

    example.client("dynamodb").create_table(
        TableName="people",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "N"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    example.client("dynamodb").put_item(TableName="people", Item=item)
    block = at("docs/mapping.md", "aws dynamodb get-item")
    mapping = "tables: {people: {key: [id]}}"
    shown = example.terminal.run(f"mkdir people; cd people; echo '{mapping}' >replication.yaml\n{block}")
    assert '"Name": "Tom"' in shown


def test_an_item_in_docker(example: Example) -> None:
    """docs/docker.md puts an item, and mongosh shows its document: at last, for the page does not wait."""
    block = replaced(at("docs/docker.md", AWS), **{"http://127.0.0.1:4566": example.endpoint_url})
    assert "mongosh" in block
    shown = wait_until(
        lambda: re.search(r"\{\s*_id: 1,[^{}]*Name: 'John'", example.terminal.run(block)), what="the document"
    )
    assert "created_at" not in shown[0], "the item of the page, not the example's"


def test_the_lines_that_make_run_prints(example: Example) -> None:
    """Each of them, in the order in which they are printed: a dead letter is made, and redriven."""
    ask, make, redrive = example.printed
    exports = "\n".join(line for line in ask.splitlines() if line.startswith("export "))
    status, verify = (line for line in ask.splitlines() if line not in exports.splitlines())
    assert "aws dynamodb put-item --endpoint-url" in make

    def run(lines: str, *statuses: int) -> str:
        # The endpoint is that of the lines.
        return example.terminal.run(
            f"{exports}\n{lines}", statuses=statuses or (0,), AWS_ENDPOINT_URL="unset"
        )

    run(status, 0, 1, 3)
    wait_until(lambda: "No difference." in run(verify, 0, 1), what="both sides to be equal")
    *refuse, listing = make.splitlines()
    run("\n".join(refuse))
    wait_until(lambda: "mongodb-121" in run(listing, 0, 1), what="the dead letter")
    run(redrive, 0, 1)
    with pymongo.MongoClient[dict[str, Any]](example.mongodb_uri) as client:
        documents = client["replicator"]["mytable"]
        wait_until(lambda: documents.find_one({"refused": "yes"}), what="the document")
    wait_until(lambda: "No difference." in run(verify, 0, 1), what="both sides to be equal")


def test_the_indexes_of_init(example: Example) -> None:
    """docs/mapping.md hands the commands that `init` prints to mongosh, which makes the indexes."""
    example.create_table("orders", "tenant", "number")
    (line,) = (span for span in TYPED if "| mongosh" in span)
    example.terminal.run(f"mkdir init; cd init; {line}")
    with pymongo.MongoClient[dict[str, Any]](example.mongodb_uri) as client:
        indexes = client["shop"]["orders"].index_information()
    assert [each["key"] for name, each in indexes.items() if name != "_id_"] == [
        [("tenant", 1), ("number", 1)]
    ]


def test_the_living_documents(example: Example) -> None:
    """docs/mapping.md finds those that are not marked as deleted."""
    (query,) = (span for span in TYPED if span.startswith("db."))
    with pymongo.MongoClient[dict[str, Any]](example.mongodb_uri) as client:
        client["living"]["people"].insert_many(
            [
                {"_id": 1, "_ddb": {"v": "1"}},
                {"_id": 2, "_ddb": {"v": "1", "deleted": {"v": "2", "at": None}}},
            ]
        )
    address = example.mongodb_uri.replace("/?", "/living?")
    assert re.findall(r"_id: (\d)", example.terminal.run(f"mongosh '{address}' --eval '{query}'")) == ["1"]


def test_no_line_leaves_the_machine(example: Example) -> None:
    """A call to elsewhere ends before it is made, and the terminal says so, whatever the line hides."""
    for endpoint in ("http://sqs.aws.invalid", "http://192.0.2.1"):
        with pytest.raises(AssertionError, match=endpoint.removeprefix("http://")):
            example.terminal.run("aws sqs list-queues || true", AWS_ENDPOINT_URL=endpoint)
        (example.terminal.folder / "left").unlink()
