"""What states of alarms mean, and a dashboard that somebody has deleted."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from ops.doctor.findings import State
from ops.smoke_test.surroundings import check_cloudwatch, judge_alarms


@pytest.mark.parametrize(
    ("states", "state", "text"),
    [
        ({"a": "OK", "b": "OK"}, State.WELL, "The stack's 2 alarms: all OK."),
        ({"a": "OK", "b": "ALARM"}, State.NOT_WELL, "These alarms are in ALARM: b."),
        ({"a": "INSUFFICIENT_DATA", "b": "OK"}, State.UNKNOWN, "Of 2 alarms, 1 have no state yet: a."),
        ({"a": "A word that we do not know", "b": "OK"}, State.UNKNOWN, "no state yet: a."),
        ({"a": "OK"}, State.NOT_WELL, "CloudWatch does not have b."),
    ],
)
def test_states_of_alarms(states: dict[str, str], state: State, text: str) -> None:
    """Only OK is well; one that is gone cannot ring."""
    found = judge_alarms(["a", "b"], states)
    assert found.state is state
    assert text in found.text


def test_a_stack_without_alarms() -> None:
    assert judge_alarms([], {}).state is State.NOT_WELL


@pytest.mark.parametrize(
    ("code", "state"), [("ResourceNotFound", State.NOT_WELL), ("Throttling", State.UNKNOWN)]
)
def test_a_dashboard_that_cannot_be_read(code: str, state: State) -> None:
    """Only CloudWatch's own word says that it is not there."""

    class Scripted:
        def __init__(self) -> None:
            self.cloudformation: Any = self
            self.cloudwatch: Any = self

        def get_paginator(self, _: str) -> Any:
            return self

        def paginate(self, **_: str) -> list[Any]:
            kinds = {"AWS::CloudWatch::Alarm": "a", "AWS::CloudWatch::Dashboard": "d", "AWS::SQS::Queue": "q"}
            return [
                {
                    "StackResourceSummaries": [
                        {"ResourceType": kind, "PhysicalResourceId": name} for kind, name in kinds.items()
                    ]
                }
            ]

        def describe_alarms(self, **asked: Any) -> Any:
            assert asked["AlarmNames"] == ["a"]
            return {"MetricAlarms": [{"AlarmName": "a", "StateValue": "OK"}]}

        def get_dashboard(self, **_: str) -> Any:
            raise ClientError({"Error": {"Code": code, "Message": "m"}}, "GetDashboard")

    aws: Any = Scripted()
    alarms, dashboard = check_cloudwatch(aws, "s")
    assert alarms.state is State.WELL
    assert dashboard.state is state
