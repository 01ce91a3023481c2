"""Decides what is wrong with an event source mapping or a stream, for the pipeline. Pure: it asks nobody.

Positive lists decide: a state, a last result or a response type that is not known to be good is not taken for
good.

Sources: AWS Lambda developer guide, "Process DynamoDB records with Lambda" (what a function answers is
ignored without ReportBatchItemFailures; LATEST can miss changes while the mapping is created; tumbling
windows); AWS Lambda API reference, "EventSourceMappingConfiguration" (State, StateTransitionReason).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from ops.event_sources import FOREVER, REPORTS_FAILURES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from ops.event_sources import EventSourceMapping

WITH_NEW_IMAGES = ("NEW_IMAGE", "NEW_AND_OLD_IMAGES")
"""The view types of a stream that can be replicated."""

_NEW = timedelta(minutes=10)
_SOON_ON = ("Creating", "Enabling")
_NOBODY_CAUSED_IT = ("", "User action", "USER_INITIATED")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and what helps.

    Attributes:
        said: the problem with its effect, as the beginning of a sentence.
        fix: what to run or to do; empty: nothing that is known.
    """

    said: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.said}: {self.fix}" if self.fix else self.said


@dataclass(frozen=True, slots=True)
class Judgement:
    """What there is to say about a mapping. It is good where both `problems` and `unknown` are empty.

    Attributes:
        problems: because of which changes are lost, or do not come.
        unknown: what the mapping does not tell.
        notes: what is a choice and has a price.
    """

    problems: Sequence[Problem] = ()
    unknown: Sequence[str] = ()
    notes: Sequence[str] = ()


def judge(mapping: EventSourceMapping) -> Judgement:
    """What is wrong with a mapping, what it does not tell, and what is a choice.

    All of them lose changes or keep them from coming, and none of them shows in a log.
    """
    problems = [*_state_problems(mapping), *_loss_problems(mapping)]
    unknown = []
    if mapping.filters is None:
        unknown.append(
            f"whether the event source mapping of the table {mapping.table} drops changes: its filters are "
            f"encrypted; see aws lambda get-event-source-mapping --uuid {mapping.id}"
        )
    if not mapping.last_result and mapping.is_on:
        unknown.append(f"how the Lambda's last invocation for the table {mapping.table} ended")
    notes = []
    if mapping.gives_up and mapping.failure_destination:
        notes.append(
            f"{_limits(mapping).capitalize()} Lambda gives up on changes of the table {mapping.table} "
            f"and reports them to {mapping.failure_destination}: run replicator resync after any such report."
        )
    if not mapping.bisects:
        notes.append(
            f"The event source mapping of the table {mapping.table} does not split a batch whose invocation "
            f"failed as a whole: {_update(mapping)} --bisect-batch-on-function-error."
        )
    return Judgement(problems, unknown, notes)


def start_warning(mapping: EventSourceMapping, now: datetime) -> str | None:
    """Which changes a mapping may have missed while it was made; None: none."""
    if mapping.is_on and mapping.start != "TRIM_HORIZON" and now - mapping.changed < _NEW:
        return (
            f"the event source mapping starts at {mapping.start or 'an unknown position'} and is less than "
            "ten minutes old: changes made while it was being created may be missing; verify finds them"
        )
    return None


def stream_problem(
    table: str, view: str, then: str = "deploy deploy/pipeline.yaml with the stream's ARN"
) -> Problem | None:
    """What is wrong with the view type of a table's stream; None: nothing.

    Args:
        table: its name.
        view: the stream's view type; empty: it has no stream.
        then: what to do with a new stream.
    """
    if not view:
        return Problem(
            f"the table {table} has no stream",
            f"aws dynamodb update-table --table-name {table} --stream-specification "
            f"StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES, then {then}",
        )
    if view not in WITH_NEW_IMAGES:
        return Problem(
            f"the stream of the table {table} has the view type {view}, which has no new images",
            "turn it off and on again with NEW_AND_OLD_IMAGES",
        )
    return None


def _state_problems(mapping: EventSourceMapping) -> list[Problem]:
    problems = []
    name = f"the event source mapping of the table {mapping.table}"
    if not mapping.is_on:
        why = "" if mapping.reason in _NOBODY_CAUSED_IT else f" ({mapping.reason})"
        problems.append(Problem(f"{name} is {mapping.state}{why}", _fix_of_state(mapping)))
    result = mapping.last_result
    if result and not (result.startswith("OK") or result == "No records processed"):
        problems.append(
            Problem(
                f"the Lambda's last invocation for the table {mapping.table} failed ({result})",
                "replicator logs shows why",
            )
        )
    return problems


def _fix_of_state(mapping: EventSourceMapping) -> str:
    if mapping.state in _SOON_ON:
        return "wait until it is Enabled"
    if mapping.state == "Deleting":
        return f"deploy deploy/pipeline.yaml with TableStreamArns={mapping.source}"
    return f"{_update(mapping)} --enabled, and wait until it is Enabled"


def _loss_problems(mapping: EventSourceMapping) -> list[Problem]:
    problems = []
    name = f"the event source mapping of the table {mapping.table}"
    if not mapping.reports_failures:
        problems.append(
            Problem(
                f"{name} lacks {REPORTS_FAILURES}, so Lambda treats changes that could not be sent as done",
                f"{_update(mapping)} --function-response-types {REPORTS_FAILURES}",
            )
        )
    if mapping.filters:
        problems.append(
            Problem(
                f"{name} has a filter, which drops changes",
                f"{_update(mapping)} --filter-criteria '{{\"Filters\":[]}}'",
            )
        )
    if mapping.gives_up and not mapping.failure_destination:
        problems.append(
            Problem(
                f"{_limits(mapping)}, Lambda gives up on changes of the table {mapping.table} "
                "without reporting them",
                f"{_update(mapping)} --maximum-retry-attempts -1 --maximum-record-age-in-seconds -1",
            )
        )
    if mapping.window:
        problems.append(
            Problem(
                f"{name} has a tumbling window, which the Lambda does not support",
                f"{_update(mapping)} --tumbling-window-in-seconds 0",
            )
        )
    return problems


def _limits(mapping: EventSourceMapping) -> str:
    limits = []
    if mapping.retries != FOREVER:
        limits.append(f"{mapping.retries:,} retries")
    if mapping.most_age != FOREVER:
        limits.append(f"{mapping.most_age:,} s")
    return f"after {' or '.join(limits)}"


def _update(mapping: EventSourceMapping) -> str:
    return f"aws lambda update-event-source-mapping --uuid {mapping.id}"
