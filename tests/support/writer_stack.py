"""deploy/writer.yaml on an emulator: what it asks for, and what it made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local import paths
from writer.settings import DRAIN_GRACE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.stack import Stack

WRITER_TEMPLATE = paths.ROOT / "deploy" / "writer.yaml"
NOT_IN_THE_EMULATOR = "AWS::ApplicationAutoScaling::"
SECRET = "arn:aws:secretsmanager:us-east-1:000000000000:secret:mongodb-uri-AbCdEf"  # a name, not a secret

Permissions = set[tuple[str, str]]


def client(stack: Stack, service: str) -> Any:
    """A client of the emulator for a service that `Stack.client` has no types for."""
    make: Any = stack.client
    return make(service)


QUEUES = {
    "QueueUrl": "https://sqs.us-east-1.amazonaws.com/000000000000/q.fifo",
    "QueueArn": "arn:aws:sqs:us-east-1:000000000000:q.fifo",
    "DeadLetterQueueUrl": "https://sqs.us-east-1.amazonaws.com/000000000000/d.fifo",
    "DeadLetterQueueArn": "arn:aws:sqs:us-east-1:000000000000:d.fifo",
}
"""Outputs of a pipeline; none of these queues exists."""


def writer_parameters(queues: Mapping[str, str]) -> dict[str, str]:
    """What deploy/writer.yaml asks for."""
    return {
        **queues,
        "MongoDbUriSecretArn": SECRET,
        "MongoDbDatabase": "plain",
        "Image": "000000000000.dkr.ecr.us-east-1.amazonaws.com/replicator-writer:1",
        "ImageRepositoryArn": "arn:aws:ecr:us-east-1:000000000000:repository/replicator-writer",
        "VpcId": "vpc-1",
        "SubnetIds": "subnet-1,subnet-2",
    }


def variables_of_the_task(stack: Stack, outputs: Mapping[str, str]) -> dict[str, str]:
    """The environment of the task. MiniStack loses the names of its secrets."""
    ecs = client(stack, "ecs")
    (service,) = ecs.describe_services(cluster=outputs["ClusterName"], services=[outputs["ServiceName"]])[
        "services"
    ]
    task = ecs.describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]
    (container,) = task["containerDefinitions"]
    assert (container["user"], container["readonlyRootFilesystem"]) == ("65532:65532", True)
    assert container["stopTimeout"] > DRAIN_GRACE
    return {each["name"]: each["value"] for each in container["environment"]}


def permissions_of(stack: Stack, stack_name: str, role: str, *, whole: bool = False) -> Permissions:
    """Every action that a role allows, with the last part of the resource, or all of it."""
    resources = client(stack, "cloudformation").describe_stack_resources(StackName=stack_name)[
        "StackResources"
    ]
    (name,) = [each["PhysicalResourceId"] for each in resources if each["LogicalResourceId"] == role]
    iam = client(stack, "iam")
    found: Permissions = set()
    assert not iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
        for statement in document["Statement"]:
            actions, resource = statement["Action"], statement["Resource"]
            assert statement["Effect"] == "Allow"
            for action in [actions] if isinstance(actions, str) else actions:
                for each in [resource] if isinstance(resource, str) else resource:
                    found.add((action, each if whole else each.rpartition(":")[2]))
    return found
