"""The parameters of the templates: what cannot work is refused before anything is made."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from local.errors import StackError
from local.pipeline.deployment import create_stack, delete_stack, outputs_of, template_for
from local.pipeline.templates import load
from tests.support.deployments import without_types
from tests.support.writer_stack import (
    NOT_IN_THE_EMULATOR,
    QUEUES,
    SECRET,
    WRITER_TEMPLATE,
    permissions_of,
    variables_of_the_task,
    writer_parameters,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from local.stack import Stack

FAILURES = "arn:aws:sqs:us-east-1:000000000000:failures"
STREAM = "arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/2020-04-30T17:47:21.395"


@pytest.fixture
def other_writer(stack: Stack, needs: Callable[[str], None]) -> Iterator[str]:
    """The name of a stack that is deleted at the end."""
    needs("writer_service")
    yield "other-writer"
    delete_stack(stack, "other-writer")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"MaximumRecordAge": "59", "FailureQueueArn": FAILURES}, "MaximumRecordAge must be -1"),
        ({"MaximumRetryAttempts": "5"}, "set FailureQueueArn with them"),
        ({"RolePath": "team"}, "RolePath"),
        ({"PermissionsBoundaryArn": "boundary"}, "PermissionsBoundaryArn"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_a_pipeline_that_cannot_work_is_refused(
    stack: Stack, needs: Callable[[str], None], given: Mapping[str, str], sentence: str
) -> None:
    """Before anything is made, with a sentence that names the parameter."""
    needs("template_rules")
    parameters = {"CodeBucket": "b", "CodeKey": "k", "TableStreamArns": STREAM} | dict(given)
    with pytest.raises(StackError, match=sentence):
        create_stack(stack, "refused", template_for(stack, parameters), parameters)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"Cpu": "1024", "Memory": "1024"}, "Fargate accepts a Cpu of"),
        ({"Cpu": "256", "Memory": "4096"}, "Fargate accepts a Cpu of"),
        ({"Cpu": "2048", "Memory": "2048"}, "Fargate accepts a Cpu of"),
        ({"MinWriters": "2", "MaxWriters": "1"}, "MaxWriters must be at least MinWriters"),
        ({"MinWriters": "10", "MaxWriters": "9"}, "MaxWriters must be at least MinWriters"),
        ({"MongoDbUriSecretArn": ""}, "Set either MongoDbUriSecretArn"),
        ({"MongoDbUri": "mongodb://h/"}, "but not both"),
        ({"MongoDbUri": "mongodb://user:password@h/", "MongoDbUriSecretArn": ""}, "MongoDbUri"),
        ({"MongoDbUriSecretArn": f"{SECRET}:key::"}, "MongoDbUriSecretArn"),
        (
            {"MongoDbUri": "mongodb://h/", "MongoDbUriSecretArn": "", "MongoDbUriSecretKey": "uri"},
            "MongoDbUriSecretKey is a key in the secret",
        ),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_writers_that_cannot_work_are_refused(
    stack: Stack, needs: Callable[[str], None], given: Mapping[str, str], sentence: str
) -> None:
    """Before anything is made, with a sentence that names the parameters."""
    needs("template_rules")
    template, _ = without_types(load(WRITER_TEMPLATE.read_text()), NOT_IN_THE_EMULATOR)
    with pytest.raises(StackError, match=sentence):
        create_stack(stack, "refused", json.dumps(template), writer_parameters(QUEUES) | dict(given))


@pytest.mark.parametrize(
    "given",
    [
        {"Cpu": "512", "Memory": "1024", "MinWriters": "10", "MaxWriters": "10"},
        {"Cpu": "2048", "Memory": "4096", "MinWriters": "3", "MaxWriters": "3", "MongoDbUriSecretKey": "uri"},
        {"MongoDbUri": "mongodb+srv://h/?authMechanism=MONGODB-AWS", "MongoDbUriSecretArn": ""},
        {"CapacityProvider": "FARGATE_SPOT", "RolePath": "/team/replicator/"},
    ],
    ids=",".join,
)
def test_writers_that_can_work_are_deployed(
    stack: Stack, other_writer: str, given: Mapping[str, str]
) -> None:
    """Other ways to log in, and sizes at the edge of what the rules let through."""
    template, _ = without_types(load(WRITER_TEMPLATE.read_text()), NOT_IN_THE_EMULATOR)
    create_stack(stack, other_writer, json.dumps(template), writer_parameters(QUEUES) | dict(given))
    outputs = outputs_of(stack, other_writer)
    uri = given.get("MongoDbUri")
    assert variables_of_the_task(stack, outputs).get("MONGODB_URI") == uri
    read = {
        resource
        for action, resource in permissions_of(stack, other_writer, "ExecutionRole", whole=True)
        if action == "secretsmanager:GetSecretValue"
    }
    assert read == (set() if uri else {SECRET}), "the secret, without its key"
    assert f":role{given.get('RolePath', '/')}" in outputs["TaskRoleArn"]
