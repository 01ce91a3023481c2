"""The pipeline on an emulator: the same template and package as in production, through CloudFormation.

Several deployments can live on one emulator: nothing has a name that does not start with the deployment's.
"""

import hashlib
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from local import paths
from local.errors import StackError
from local.process import wait_until
from local.stack import Stack

if TYPE_CHECKING:
    from types_boto3_cloudformation import CloudFormationClient

DEPLOY_TIMEOUT_S = 120.0
DELETE_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Deployment:
    """Where the parts of one deployed pipeline are: the outputs of the template."""

    name: str
    queue_url: str
    dead_letter_queue_url: str
    function_name: str
    stream_mapping_id: str
    table_name: str
    stream_arn: str


def deploy(
    stack: Stack, name: str, *, package: Path, parameters: Mapping[str, str] | None = None
) -> Deployment:
    """Create the pipeline and wait until it stands.

    Args:
        stack: Where.
        name: Name of the CloudFormation stack: lower-case letters, digits and hyphens.
        package: The producer's package, as `deploy.package` builds it.
        parameters: The template's parameters, over its defaults and what is known here (code and runtime).

    Raises:
        StackError: CloudFormation refused it; the message has its reasons.
    """
    cloudformation = stack.client("cloudformation")
    known = _upload(stack, _bucket(name), package) | {
        "Runtime": f"python{sys.version_info.major}.{sys.version_info.minor}",
        "Architecture": {"aarch64": "arm64"}.get(platform.machine(), platform.machine()),
    }
    try:
        cloudformation.create_stack(
            StackName=name,
            TemplateBody=paths.TEMPLATE.read_text(),
            Capabilities=["CAPABILITY_IAM"],
            Parameters=[
                {"ParameterKey": key, "ParameterValue": value}
                for key, value in (known | dict(parameters or {})).items()
            ],
        )
    except ClientError as error:
        raise StackError(f"The pipeline cannot be deployed: {error}") from error
    wait_until(
        lambda: _settled(cloudformation, name),
        timeout_s=DEPLOY_TIMEOUT_S,
        what=f"the CloudFormation stack {name} to be created",
    )
    description = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in description["Outputs"]}
    return Deployment(
        name=name,
        queue_url=outputs["QueueUrl"],
        dead_letter_queue_url=outputs["DeadLetterQueueUrl"],
        function_name=outputs["FunctionName"],
        stream_mapping_id=outputs["StreamMappingId"],
        table_name=outputs["TableName"],
        stream_arn=outputs["StreamArn"],
    )


def delete(stack: Stack, deployment: Deployment) -> None:
    """Delete the pipeline with its example table and its package, and wait until they are gone.

    For an emulator that lives on after us. The queues may stay, as the template says: they may hold changes.

    Raises:
        StackError: It is still there after a minute.
    """
    cloudformation = stack.client("cloudformation")
    cloudformation.delete_stack(StackName=deployment.name)
    wait_until(
        lambda: _is_deleted(cloudformation, deployment.name),
        timeout_s=DELETE_TIMEOUT_S,
        what=f"the CloudFormation stack {deployment.name} to be deleted",
    )
    s3, bucket = stack.client("s3"), _bucket(deployment.name)
    for each in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
        s3.delete_object(Bucket=bucket, Key=each["Key"])
    s3.delete_bucket(Bucket=bucket)


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


def _settled(cloudformation: "CloudFormationClient", name: str) -> bool:
    status = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
    if "FAILED" in status or "ROLLBACK" in status:
        events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
        reasons = [
            f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', 'no reason given')}"
            for event in reversed(events)
            if event["ResourceStatus"].endswith("FAILED")
        ]
        raise StackError("\n".join([f"The pipeline cannot be deployed ({status}).", *reasons]))
    return status == "CREATE_COMPLETE"


def _is_deleted(cloudformation: "CloudFormationClient", name: str) -> bool:
    try:
        stacks = cloudformation.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":  # "Stack with id … does not exist"
            return True
        raise
    return all(stack["StackStatus"] == "DELETE_COMPLETE" for stack in stacks)
