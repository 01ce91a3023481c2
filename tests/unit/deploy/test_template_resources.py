"""What the templates make, where no emulator shows whether it is right."""

from __future__ import annotations

from typing import Any, Final

import pytest

from local import paths
from local.pipeline.templates import load

PIPELINE: Final = load((paths.ROOT / "deploy/pipeline.yaml").read_text())["Resources"]
WRITER: Final = load((paths.ROOT / "deploy/writer.yaml").read_text())["Resources"]
ROLES: Final[dict[str, Any]] = {
    name: resource["Properties"]
    for name, resource in (PIPELINE | WRITER).items()
    if isinstance(resource, dict) and resource["Type"] == "AWS::IAM::Role"
}
HEALTHY_WITHIN: Final = 180  # seconds; a writer reaches its servers in a few


@pytest.mark.parametrize("name", ROLES)
def test_every_role_has_the_path_and_the_boundary_that_are_wanted(name: str) -> None:
    """Organisations refuse roles without them. Where none is given none is set: a path cannot change."""
    path, boundary = {"Ref": "RolePath"}, {"Ref": "PermissionsBoundaryArn"}
    assert ROLES[name]["Path"] == {"Fn::If": ["HasRolePath", path, {"Ref": "AWS::NoValue"}]}
    assert ROLES[name]["PermissionsBoundary"] == {
        "Fn::If": ["HasBoundary", boundary, {"Ref": "AWS::NoValue"}]
    }


def test_ecs_may_assume_its_roles_for_this_account_only() -> None:
    """By the conditions that AWS documents for each: the execution role has no `aws:SourceArn`."""
    (execution,) = ROLES["ExecutionRole"]["AssumeRolePolicyDocument"]["Statement"]
    (task,) = ROLES["TaskRole"]["AssumeRolePolicyDocument"]["Statement"]
    account = {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    assert execution["Condition"] == {"StringEquals": account}
    assert task["Condition"].keys() == {"StringEquals", "ArnLike"}
    assert task["Condition"]["StringEquals"] == account


def test_no_writer_ends_before_another_one_is_healthy() -> None:
    """A rollout that never becomes ready goes back by itself, in minutes."""
    deployment = WRITER["Service"]["Properties"]["DeploymentConfiguration"]
    assert deployment["MinimumHealthyPercent"] == 100
    assert deployment["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}
    (container,) = WRITER["TaskDefinition"]["Properties"]["ContainerDefinitions"]
    check = container["HealthCheck"]
    assert check["Command"][-1] == "/app/healthcheck.py"
    seconds = check["StartPeriod"] + check["Interval"] * check["Retries"]
    assert seconds == HEALTHY_WITHIN, "what the page and the record say"


def test_one_writer_cannot_be_taken_away() -> None:
    """With Spot, others can; a base, and no weight of 0, which would place no task."""
    condition, spot, plain = WRITER["Service"]["Properties"]["CapacityProviderStrategy"]["Fn::If"]
    assert condition == "UsesSpot"
    assert [each["CapacityProvider"] for each in spot if each.get("Base")] == ["FARGATE"]
    assert all(each["Weight"] > 0 for each in spot)
    assert plain == [{"CapacityProvider": "FARGATE", "Weight": 1}], "as in stacks from before"


def test_lambda_logs_our_lines_as_they_are() -> None:
    """JSON, so that its own lines can be left out; and DEBUG arrives where it is asked for."""
    logging = PIPELINE["Producer"]["Properties"]["LoggingConfig"]
    assert (logging["LogFormat"], logging["SystemLogLevel"]) == ("JSON", "WARN")
    assert logging["ApplicationLogLevel"] == {"Ref": "LogLevel"}


def test_the_dashboards_of_two_regions_are_two() -> None:
    """Their names are global to an account."""
    name = PIPELINE["Dashboard"]["Properties"]["DashboardName"]["Fn::Sub"]
    assert all(part in name for part in ("${AWS::StackName}", "${AWS::Region}"))
