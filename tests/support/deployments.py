"""What only the tests do with a deployment: update it in place, and deploy a template in part."""

from __future__ import annotations

import copy
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from local.pipeline.deployment import (
    DEPLOY_TIMEOUT_S,
    STREAMS_PARAMETER,
    has_status,
    template_for,
    upload,
)
from local.polling import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from types_boto3_cloudformation.type_defs import ParameterTypeDef

    from local.pipeline.deployment import Deployment
    from local.pipeline.templates import Template
    from local.stack import Stack


def update(
    stack: Stack, deployment: Deployment, *, package: Path, parameters: Mapping[str, str]
) -> Deployment:
    """Updates the pipeline in place and waits until that is done.

    Args:
        stack: Where it is.
        deployment: The pipeline as it is now.
        package: The producer's package, the same as before or another.
        parameters: The template's parameters that change; the others stay.

    Raises:
        ClientError: CloudFormation refused it.
        WaiterError: CloudFormation refused it.
        StackError: The update failed; the message has the reasons.
    """
    name, cloudformation = deployment.name, stack.client("cloudformation")
    code = upload(stack, name, package)
    changed = {STREAMS_PARAMETER: ",".join(deployment.streams)} | code | dict(parameters)
    described = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    before = {each["ParameterKey"] for each in described["Parameters"]}
    kept: list[ParameterTypeDef] = [
        {"ParameterKey": key, "UsePreviousValue": True} for key in sorted(before - changed.keys())
    ]
    new: list[ParameterTypeDef] = [
        {"ParameterKey": key, "ParameterValue": value} for key, value in changed.items()
    ]
    change_set = f"update-{uuid.uuid4().hex[:8]}"
    # By a change set, as the command `aws cloudformation deploy` does it.
    cloudformation.create_change_set(
        StackName=name,
        ChangeSetName=change_set,
        TemplateBody=template_for(stack, changed),
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        Parameters=kept + new,
    )
    cloudformation.get_waiter("change_set_create_complete").wait(
        StackName=name, ChangeSetName=change_set, WaiterConfig={"Delay": 1}
    )
    cloudformation.execute_change_set(StackName=name, ChangeSetName=change_set)
    wait_until(
        lambda: has_status(stack, name, "UPDATE_COMPLETE"),
        timeout_s=DEPLOY_TIMEOUT_S,
        what=f"the CloudFormation stack {name} to be updated",
    )
    return replace(deployment, streams=changed[STREAMS_PARAMETER].split(","))


def mapping_of(stack: Stack, deployment: Deployment, stream: str) -> str:
    """The id of the event source mapping between a stream and the deployment's Lambda."""
    mappings = stack.client("lambda").list_event_source_mappings(
        FunctionName=deployment.function_name, EventSourceArn=stream
    )["EventSourceMappings"]
    return mappings[0]["UUID"]


def without_types(template: Template, prefix: str) -> tuple[Template, list[str]]:
    """The template without the resources of some types, and without the alarm actions that refer to them.

    Args:
        template: As `local.pipeline.templates.load` reads it.
        prefix: How the names of these types begin.

    Returns:
        The template, and the names of the removed resources.
    """
    resources: dict[str, Any] = copy.deepcopy(template["Resources"])
    gone = [name for name, resource in resources.items() if str(resource.get("Type", "")).startswith(prefix)]
    kept = {name: resource for name, resource in resources.items() if name not in gone}
    for resource in kept.values():
        actions = resource.get("Properties", {}).get("AlarmActions")
        if isinstance(actions, list):
            named = [action for action in actions if action.get("Ref") not in gone]
            resource["Properties"]["AlarmActions"] = named
    return template | {"Resources": kept}, gone
