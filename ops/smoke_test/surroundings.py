"""What is around the changes: both queues, alarms and dashboard of the stack. It only reads."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ops.aws import asking, code_of
from ops.console.exit_status import CommandError
from ops.console.terminal import count
from ops.doctor.findings import Finding, not_well, unknown, well
from ops.doctor.looking import look
from ops.queues.queue_browser import DEAD_LETTERS, QueueBrowser, letters_in, queue_numbers
from ops.smoke_test.diagnosis import Letter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.aws import Aws

_ATTRIBUTES = "sqs:GetQueueAttributes"
_RESOURCES = "cloudformation:ListStackResources"
_ALARM = "AWS::CloudWatch::Alarm"
_DASHBOARD = "AWS::CloudWatch::Dashboard"
_NAME_STACK = "Give --stack NAME (REPLICATOR_STACK)."
_NO_DASHBOARD = frozenset({"ResourceNotFound", "DashboardNotFoundError"})
"""Code, and name of the error ("GetDashboard", Amazon CloudWatch API Reference)."""
_PAGE = 100
"""Names of alarms in one call ("DescribeAlarms", Amazon CloudWatch API Reference)."""
_LOOK_SECONDS = 1.0
_SEARCH_SECONDS = 20.0
"""For dead letters, at most: what is looked at is hidden from others meanwhile."""

Resources = list[tuple[str, str]]
"""Type and name of a stack's resources."""


def messages(aws: Aws, url: str) -> tuple[int, int]:
    """Messages of the queue that wait, delayed ones included, and those that a writer holds.

    Raises:
        CommandError: there is no such queue, or it cannot be read.
    """
    names = ("", "Delayed", "NotVisible")
    found = queue_numbers(
        aws.sqs, url, "the queue", *(f"ApproximateNumberOfMessages{each}" for each in names)
    )
    return found[0] + found[1], found[2]


def find_letter(aws: Aws, url: str, run: str) -> tuple[Letter | None, bool]:
    """A dead letter of a run; and, where there is none, whether all letters were looked at.

    Raises:
        CommandError: the queue cannot be read.
    """
    expected = letters_in(aws.sqs, url)
    if not expected:
        return None, True
    with QueueBrowser(aws.sqs, url) as browser:
        for letters in browser.batches(_SEARCH_SECONDS):
            for letter in letters:
                if run in letter.key or run in letter.text:
                    return Letter(letter.code, letter.reason), True
        return None, browser.all_seen(expected)


def check_queue(aws: Aws, url: str, seconds: float) -> list[Finding]:
    """Waits until the queue is empty, at most for so many seconds."""

    def findings() -> Iterator[Finding]:
        until = time.monotonic() + seconds
        while any(found := messages(aws, url)):
            if time.monotonic() > until:
                text = (
                    f"Cannot tell whether the test left something in the queue: it was never empty in "
                    f"{seconds:g} seconds, and has {count(sum(found), 'message')} now. That is normal "
                    "where other tables change"
                )
                yield unknown("queue-empty", text, "Check that it shrinks: replicator status.")
                return
            time.sleep(_LOOK_SECONDS)
        yield well("queue-empty", "Nothing is left in the queue.")

    return look("queue-empty", "The queue", _ATTRIBUTES, findings)


def check_dead_letters(aws: Aws, url: str, before: int) -> list[Finding]:
    """Compares the number of dead letters with that before the test."""

    def findings() -> Iterator[Finding]:
        now = letters_in(aws.sqs, url)
        if now > before:
            text = f"There are {count(now - before, 'dead letter')} more than before the test, in all {now:,}"
            yield not_well("dead-letters", text, "Look at them: replicator dlq list.")
        else:
            yield well("dead-letters", f"No dead letters were added by the test; there are {now:,}.")

    return look("dead-letters", DEAD_LETTERS.capitalize(), _ATTRIBUTES, findings)


def check_cloudwatch(aws: Aws, stack: str) -> list[Finding]:
    """Looks at the alarms and the dashboard of a stack; empty: it is not known which one it is."""
    if not stack:
        text = "The alarms and the dashboard were not checked: no stack is named"
        return [unknown("alarms", text, _NAME_STACK)]
    resources: Resources = []
    what = f"Alarms and dashboard of the stack {stack}"
    if found := look("alarms", what, _RESOURCES, lambda: _list(aws, stack, resources)):
        return found
    alarms = [name for kind, name in resources if kind == _ALARM]
    dashboards = [name for kind, name in resources if kind == _DASHBOARD]
    return [
        *look("alarms", "The alarms", "cloudwatch:DescribeAlarms", lambda: _alarms(aws, alarms)),
        *look("dashboard", "The dashboard", "cloudwatch:GetDashboard", lambda: _dashboard(aws, dashboards)),
    ]


def _list(aws: Aws, stack: str, resources: Resources) -> list[Finding]:
    with asking("listing the resources of the stack"):
        for page in aws.cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack):
            resources += [
                (str(each["ResourceType"]), str(each.get("PhysicalResourceId", "")))
                for each in page["StackResourceSummaries"]
            ]
    return []


def _alarms(aws: Aws, names: list[str]) -> Iterator[Finding]:
    states: dict[str, str] = {}
    for at in range(0, len(names), _PAGE):
        with asking("reading the states of the alarms"):
            answer: Any = aws.cloudwatch.describe_alarms(AlarmNames=names[at : at + _PAGE], MaxRecords=_PAGE)
            states |= {str(each["AlarmName"]): str(each["StateValue"]) for each in answer["MetricAlarms"]}
    yield judge_alarms(names, states)


def judge_alarms(names: list[str], states: dict[str, str]) -> Finding:
    """What the states of a stack's alarms mean.

    Args:
        names: those that the stack has.
        states: in CloudWatch's words, of those that CloudWatch knows.
    """
    if not names:
        return not_well("alarms", "The stack has no alarms", "Deploy deploy/pipeline.yaml as it is.")
    if absent := [name for name in names if name not in states]:
        text = f"Of the stack's {count(len(names), 'alarm')}, CloudWatch does not have {', '.join(absent)}"
        return not_well("alarms", text, "They were deleted: deploy the stack again.")
    if ringing := [name for name in names if states[name] == "ALARM"]:
        return not_well(
            "alarms", f"These alarms are in ALARM: {', '.join(ringing)}", "Their descriptions say what to do."
        )
    if open_ := [name for name in names if states[name] != "OK"]:
        text = f"Of {count(len(names), 'alarm')}, {len(open_):,} have no state yet: {', '.join(open_)}"
        return unknown("alarms", text, "CloudWatch needs a few minutes of data: run this again later.")
    return well("alarms", f"The stack's {count(len(names), 'alarm')}: all OK.")


def _dashboard(aws: Aws, names: list[str]) -> Iterator[Finding]:
    if not names:
        yield not_well("dashboard", "The stack has no dashboard", "Deploy deploy/pipeline.yaml as it is.")
        return
    for name in names:
        try:
            with asking("reading the dashboard"):
                is_there = bool(aws.cloudwatch.get_dashboard(DashboardName=name)["DashboardBody"])
        except CommandError as error:
            if code_of(error) not in _NO_DASHBOARD:
                raise
            is_there = False
        if is_there:
            yield well("dashboard", f"The dashboard {name} exists.")
        else:
            text = f"The dashboard {name} does not exist"
            yield not_well("dashboard", text, "It was deleted: deploy the stack again.")
