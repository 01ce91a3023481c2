"""The pipeline on an emulator: the same template and package as in production, through CloudFormation.

One emulator can have several deployments: every name starts with that of the deployment.
"""

import hashlib
import json
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from botocore.exceptions import ClientError

from local import paths
from local.errors import StackError
from local.pipeline.tables import create_table
from local.pipeline.templates import load, without_composed_alarms, without_loops
from local.polling import wait_until
from local.stack import Stack

# A failure is reported at once. This is long because LocalStack in Docker first downloads the runtime's
# image.
DEPLOY_TIMEOUT_S = 600.0

STREAMS_PARAMETER = "TableStreamArns"


@dataclass(frozen=True)
class Deployment:
    """One deployed pipeline.

    Attributes:
        name: Name of the CloudFormation stack.
        streams: ARNs of the streams that it reads.
        example_table: The table that was made with it and is deleted with it; empty: none.
    """

    name: str
    queue_url: str
    dead_letter_queue_url: str
    function_name: str
    streams: Sequence[str] = ()
    example_table: str = ""


def find(stack: Stack, name: str) -> Deployment | None:
    """The pipeline of that name, if it exists or is being created; without its tables.

    Raises:
        StackError: CloudFormation could not create it; the message has the reasons.
    """
    if _is_deleted(stack, name):
        return None
    _wait_until_created(stack, name)
    return _described(stack, name)


def deploy(
    stack: Stack,
    name: str,
    *,
    package: Path,
    table: str = "",
    parameters: Mapping[str, str] | None = None,
) -> Deployment:
    """Create the pipeline and wait until it is complete.

    Args:
        stack: Where to create it.
        name: Name of the CloudFormation stack: lower-case letters, digits and hyphens.
        package: The producer's package, as `deploy.package` builds it.
        table: Name of an example table to create, with the numeric key `id`; its stream is replicated.
        parameters: Parameters of the template. They override its defaults, and those that are set here (code
            and runtime). Streams among them are replicated, too.

    Raises:
        StackError: CloudFormation refused it; the message has the reasons.
    """
    given = dict(parameters or {})
    streams = [stream for stream in given.get(STREAMS_PARAMETER, "").split(",") if stream]
    if table:
        streams.insert(0, create_table(stack, table, id="N"))
    given[STREAMS_PARAMETER] = ",".join(streams)
    defaults = upload(stack, name, package) | {
        "Runtime": f"python{sys.version_info.major}.{sys.version_info.minor}",
        "Architecture": {"aarch64": "arm64"}.get(platform.machine(), platform.machine()),
    }
    create_stack(stack, name, template_for(stack, given), defaults | given)
    return replace(_described(stack, name), streams=streams, example_table=table)


def add_streams(stack: Stack, deployment: Deployment, streams: Sequence[str]) -> Deployment:
    """Update the pipeline so that it reads more streams, and wait until it is complete.

    Raises:
        StackError: CloudFormation refused it; the message has the reasons.
    """
    every = [*deployment.streams, *streams]
    cloudformation = stack.client("cloudformation")
    description = cloudformation.describe_stacks(StackName=deployment.name)["Stacks"][0]
    parameters = {each["ParameterKey"]: each["ParameterValue"] for each in description["Parameters"]}
    parameters[STREAMS_PARAMETER] = ",".join(every)
    try:
        cloudformation.update_stack(
            StackName=deployment.name,
            TemplateBody=template_for(stack, parameters),
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        )
    except ClientError as error:
        raise StackError(f"The stack {deployment.name} cannot be updated: {error}") from error
    wait_until(
        lambda: has_status(stack, deployment.name, "UPDATE_COMPLETE"),
        timeout_s=DEPLOY_TIMEOUT_S,
        what=f"the CloudFormation stack {deployment.name} to be updated",
    )
    return replace(deployment, streams=every)


def _described(stack: Stack, name: str) -> Deployment:
    outputs = outputs_of(stack, name)
    return Deployment(
        name=name,
        queue_url=outputs["QueueUrl"],
        dead_letter_queue_url=outputs["DeadLetterQueueUrl"],
        function_name=outputs["FunctionName"],
    )


def template_for(stack: Stack, parameters: Mapping[str, str]) -> str:
    """deploy/pipeline.yaml in a form that this emulator accepts."""
    text, lacks = paths.TEMPLATE.read_text(), stack.capabilities
    if not (lacks.template_loops or lacks.composed_alarms):
        return text
    template = load(text)
    if lacks.composed_alarms:
        template = without_composed_alarms(template)
    if lacks.template_loops:
        template = without_loops(template, {STREAMS_PARAMETER: parameters[STREAMS_PARAMETER].split(",")})
    return json.dumps(template)


def create_stack(stack: Stack, name: str, body: str, parameters: Mapping[str, str]) -> None:
    """Create a CloudFormation stack and wait until it is complete.

    Raises:
        StackError: CloudFormation refused it; the message has the reasons.
    """
    try:
        stack.client("cloudformation").create_stack(
            StackName=name,
            TemplateBody=body,
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        )
    except ClientError as error:
        raise StackError(f"The stack {name} cannot be deployed: {error}") from error
    _wait_until_created(stack, name)


def _wait_until_created(stack: Stack, name: str) -> None:
    wait_until(
        lambda: has_status(stack, name, "CREATE_COMPLETE", "UPDATE_COMPLETE"),
        timeout_s=DEPLOY_TIMEOUT_S,
        what=f"the CloudFormation stack {name} to be created",
    )


def outputs_of(stack: Stack, name: str) -> dict[str, str]:
    """The outputs of a CloudFormation stack."""
    description = stack.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in description.get("Outputs", [])}


def delete(stack: Stack, deployment: Deployment) -> None:
    """Delete the pipeline, its example table and its package, and wait until they are gone.

    For an emulator that runs on afterwards. The template retains the queues, which may hold changes.

    Raises:
        StackError: The pipeline was not deleted in time.
    """
    delete_stack(stack, deployment.name)
    if deployment.example_table:
        stack.client("dynamodb").delete_table(TableName=deployment.example_table)
    s3, bucket = stack.client("s3"), _bucket_of(deployment.name)
    for each in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
        s3.delete_object(Bucket=bucket, Key=each["Key"])
    s3.delete_bucket(Bucket=bucket)


def delete_stack(stack: Stack, name: str) -> None:
    """Delete a CloudFormation stack and wait until it is gone.

    Raises:
        StackError: It was not deleted in time.
    """
    stack.client("cloudformation").delete_stack(StackName=name)
    wait_until(
        lambda: _is_deleted(stack, name),
        what=f"the CloudFormation stack {name} to be deleted",
    )


def message_count(stack: Stack, queue_url: str) -> int:
    """How many messages a queue has, visible and in flight."""
    attributes = stack.client("sqs").get_queue_attributes(
        QueueUrl=queue_url,
        AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
    )["Attributes"]
    return sum(map(int, attributes.values()))


def _bucket_of(name: str) -> str:
    return f"{name}-code"


def upload(stack: Stack, name: str, package: Path) -> dict[str, str]:
    """Upload the package under a key that changes with its content; return its parameters."""
    body, bucket = package.read_bytes(), _bucket_of(name)
    key = f"producer-{hashlib.sha256(body).hexdigest()[:16]}.zip"
    s3 = stack.client("s3")
    s3.create_bucket(Bucket=bucket)  # in us-east-1, no error if it is ours already
    s3.put_object(Bucket=bucket, Key=key, Body=body)
    return {"CodeBucket": bucket, "CodeKey": key}


def has_status(stack: Stack, name: str, *wanted: str) -> bool:
    """Whether a CloudFormation stack has one of these statuses.

    Raises:
        StackError: Its creation or update failed; the message has the reasons.
    """
    cloudformation = stack.client("cloudformation")
    status = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
    if "FAILED" in status or "ROLLBACK" in status:
        events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
        reasons = [
            f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', 'no reason given')}"
            for event in reversed(events)
            if event["ResourceStatus"].endswith("FAILED")
        ]
        raise StackError("\n".join([f"The stack {name} cannot be deployed ({status}).", *reasons]))
    return status in wanted


def _is_deleted(stack: Stack, name: str) -> bool:
    try:
        stacks = stack.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":  # "Stack with id … does not exist"
            return True
        raise
    return all(each["StackStatus"] == "DELETE_COMPLETE" for each in stacks)
