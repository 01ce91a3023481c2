"""The pipeline on an emulator: the same template and package as in production, through CloudFormation.

Several deployments can live on one emulator: nothing has a name that does not start with the deployment's.
"""

import hashlib
import json
import platform
import sys
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError, WaiterError

from local import paths
from local.errors import StackError
from local.pipeline.tables import create_table
from local.pipeline.templates import load, without_loops
from local.processes.child import wait_until
from local.stack import Stack

if TYPE_CHECKING:
    from types_boto3_cloudformation import CloudFormationClient
    from types_boto3_cloudformation.type_defs import ParameterTypeDef

# A failure is told at once. This is long because LocalStack in Docker fetches the image of the runtime first.
DEPLOY_TIMEOUT_S = 600.0
DELETE_TIMEOUT_S = 60.0

_STREAMS = "TableStreamArns"


@dataclass(frozen=True)
class Deployment:
    """Where the parts of one deployed pipeline are."""

    name: str
    queue_url: str
    dead_letter_queue_url: str
    function_name: str
    streams: Sequence[str] = ()
    """ARNs of the streams that it reads."""
    example_table: str = ""
    """The table that was made with it, and goes with it; empty: none."""


def find(stack: Stack, name: str) -> Deployment | None:
    """The pipeline of that name, if somebody has created it or does so now; without its tables.

    Raises:
        StackError: CloudFormation could not create it; the message has its reasons.
    """
    cloudformation = stack.client("cloudformation")
    if _is_deleted(cloudformation, name):
        return None
    _wait_until_created(cloudformation, name)
    return _described(stack, name)


def deploy(
    stack: Stack,
    name: str,
    *,
    package: Path,
    table: str = "",
    parameters: Mapping[str, str] | None = None,
) -> Deployment:
    """Create the pipeline and wait until it stands.

    Args:
        stack: Where.
        name: Name of the CloudFormation stack: lower-case letters, digits and hyphens.
        package: The producer's package, as `deploy.package` builds it.
        table: Name of an example table to make, with the numeric key `id`; its stream is replicated.
        parameters: The template's parameters, over its defaults and what is known here (code and runtime).
            Streams that it names are replicated, too.

    Raises:
        StackError: CloudFormation refused it; the message has its reasons.
    """
    others = dict(parameters or {})
    streams = [stream for stream in others.get(_STREAMS, "").split(",") if stream]
    if table:
        streams.insert(0, create_table(stack, table, id="N"))
    others[_STREAMS] = ",".join(streams)
    known = _upload(stack, _bucket(name), package) | {
        "Runtime": f"python{sys.version_info.major}.{sys.version_info.minor}",
        "Architecture": {"aarch64": "arm64"}.get(platform.machine(), platform.machine()),
    }
    create_stack(stack, name, _template(stack, others), known | others)
    return replace(_described(stack, name), streams=streams, example_table=table)


def _described(stack: Stack, name: str) -> Deployment:
    outputs = outputs_of(stack, name)
    return Deployment(
        name=name,
        queue_url=outputs["QueueUrl"],
        dead_letter_queue_url=outputs["DeadLetterQueueUrl"],
        function_name=outputs["FunctionName"],
    )


def update(
    stack: Stack,
    deployment: Deployment,
    *,
    package: Path,
    parameters: Mapping[str, str],
) -> Deployment:
    """Update the pipeline in place and wait until that is done.

    Args:
        stack: Where it is.
        deployment: What is there.
        package: The producer's package, the same as before or another.
        parameters: The template's parameters that change; the others stay.

    Raises:
        StackError: CloudFormation refused it; the message has its reasons.
    """
    cloudformation = stack.client("cloudformation")
    code = _upload(stack, _bucket(deployment.name), package)
    changed = {_STREAMS: ",".join(deployment.streams)} | code | dict(parameters)
    described = cloudformation.describe_stacks(StackName=deployment.name)["Stacks"][0]
    before = {each["ParameterKey"] for each in described["Parameters"]}
    kept = [_kept(key) for key in sorted(before - changed.keys())]
    change_set = f"update-{uuid.uuid4().hex[:8]}"
    try:
        # By a change set, as the command `aws cloudformation deploy` does it.
        cloudformation.create_change_set(
            StackName=deployment.name,
            ChangeSetName=change_set,
            TemplateBody=_template(stack, changed),
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            Parameters=kept + [_parameter(key, value) for key, value in changed.items()],
        )
        cloudformation.get_waiter("change_set_create_complete").wait(
            StackName=deployment.name, ChangeSetName=change_set, WaiterConfig={"Delay": 1}
        )
        cloudformation.execute_change_set(StackName=deployment.name, ChangeSetName=change_set)
    except (ClientError, WaiterError) as error:
        raise StackError(f"The stack {deployment.name} cannot be updated: {error}") from error
    wait_until(
        lambda: _settled(cloudformation, deployment.name, {"UPDATE_COMPLETE"}),
        timeout_s=DEPLOY_TIMEOUT_S,
        what=f"the CloudFormation stack {deployment.name} to be updated",
    )
    return replace(deployment, streams=changed[_STREAMS].split(","))


def _template(stack: Stack, parameters: Mapping[str, str]) -> str:
    """deploy/pipeline.yaml as this emulator takes it."""
    text = paths.TEMPLATE.read_text()
    if stack.capabilities.template_loops is None:
        return text
    return json.dumps(without_loops(load(text), {_STREAMS: parameters[_STREAMS].split(",")}))


def create_stack(stack: Stack, name: str, body: str, parameters: Mapping[str, str]) -> None:
    """Create a CloudFormation stack and wait until it stands.

    Raises:
        StackError: CloudFormation refused it; the message has its reasons.
    """
    cloudformation = stack.client("cloudformation")
    try:
        cloudformation.create_stack(
            StackName=name,
            TemplateBody=body,
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            Parameters=[_parameter(key, value) for key, value in parameters.items()],
        )
    except ClientError as error:
        raise StackError(f"The stack {name} cannot be deployed: {error}") from error
    _wait_until_created(cloudformation, name)


def _wait_until_created(cloudformation: "CloudFormationClient", name: str) -> None:
    wait_until(
        lambda: _settled(cloudformation, name, {"CREATE_COMPLETE", "UPDATE_COMPLETE"}),
        timeout_s=DEPLOY_TIMEOUT_S,
        what=f"the CloudFormation stack {name} to be created",
    )


def outputs_of(stack: Stack, name: str) -> dict[str, str]:
    """The outputs of a CloudFormation stack."""
    description = stack.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in description.get("Outputs", [])}


def mapping_of(stack: Stack, deployment: Deployment, stream: str) -> str:
    """The id of the event source mapping between a stream and the deployment's Lambda."""
    mappings = stack.client("lambda").list_event_source_mappings(
        FunctionName=deployment.function_name, EventSourceArn=stream
    )["EventSourceMappings"]
    return mappings[0]["UUID"]


def delete(stack: Stack, deployment: Deployment) -> None:
    """Delete the pipeline with its example table and its package, and wait until they are gone.

    For an emulator that lives on after us. The queues may stay, as the template says: they may hold changes.

    Raises:
        StackError: It is still there after a minute.
    """
    delete_stack(stack, deployment.name)
    if deployment.example_table:
        stack.client("dynamodb").delete_table(TableName=deployment.example_table)
    s3, bucket = stack.client("s3"), _bucket(deployment.name)
    for each in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
        s3.delete_object(Bucket=bucket, Key=each["Key"])
    s3.delete_bucket(Bucket=bucket)


def delete_stack(stack: Stack, name: str) -> None:
    """Delete a CloudFormation stack and wait until it is gone.

    Raises:
        StackError: It is still there after a minute.
    """
    cloudformation = stack.client("cloudformation")
    cloudformation.delete_stack(StackName=name)
    wait_until(
        lambda: _is_deleted(cloudformation, name),
        timeout_s=DELETE_TIMEOUT_S,
        what=f"the CloudFormation stack {name} to be deleted",
    )


def _parameter(key: str, value: str) -> "ParameterTypeDef":
    return {"ParameterKey": key, "ParameterValue": value}


def _kept(key: str) -> "ParameterTypeDef":
    return {"ParameterKey": key, "UsePreviousValue": True}


def _bucket(name: str) -> str:
    return f"{name}-code"


def _upload(stack: Stack, bucket: str, package: Path) -> dict[str, str]:
    """Put the package into the bucket, under a key that changes with its content."""
    body = package.read_bytes()
    key = f"producer-{hashlib.sha256(body).hexdigest()[:16]}.zip"
    s3 = stack.client("s3")
    s3.create_bucket(Bucket=bucket)  # in us-east-1, no error if it is ours already
    s3.put_object(Bucket=bucket, Key=key, Body=body)
    return {"CodeBucket": bucket, "CodeKey": key}


def _settled(cloudformation: "CloudFormationClient", name: str, wanted: Collection[str]) -> bool:
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


def _is_deleted(cloudformation: "CloudFormationClient", name: str) -> bool:
    try:
        stacks = cloudformation.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":  # "Stack with id … does not exist"
            return True
        raise
    return all(stack["StackStatus"] == "DELETE_COMPLETE" for stack in stacks)
