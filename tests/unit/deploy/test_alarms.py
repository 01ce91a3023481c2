"""The alarms of the templates, by their shape: no emulator evaluates them, no real account has run them."""

from __future__ import annotations

from typing import Any, Final

import pytest

from local import paths
from local.pipeline.templates import load, without_loops
from tests.support.aws_metrics import AWS_METRICS
from tests.support.metric_names import EMF_NAMES, metrics_of

STREAMS: Final = [
    f"arn:aws:dynamodb:eu-west-1:123456789012:table/{table}/stream/2020-04-30T17:47:21.395"
    for table in ("orders", "people.v2")
]
PIPELINE: Final = load((paths.ROOT / "deploy/pipeline.yaml").read_text())
WRITER: Final = load((paths.ROOT / "deploy/writer.yaml").read_text())
RESOURCES: Final[dict[str, Any]] = (
    without_loops(PIPELINE, {"TableStreamArns": STREAMS})["Resources"] | WRITER["Resources"]
)
ALARMS: Final[dict[str, dict[str, Any]]] = {
    name: resource["Properties"]
    for name, resource in RESOURCES.items()
    if resource["Type"] == "AWS::CloudWatch::Alarm"
}
COMPOSED: Final = {name: alarm for name, alarm in ALARMS.items() if "Metrics" in alarm}
TOPIC: Final = {"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}], {"Ref": "AWS::NoValue"}]}
TABLE: Final = {"Fn::Select": [1, {"Fn::Split": ["/", STREAMS[0]]}]}
UNREAD: Final = next(alarm for name, alarm in ALARMS.items() if name.startswith("StreamUnreadarn"))
FIVE_MINUTES: Final = 300


def value(expression: str, **metrics: float | None) -> bool:
    """An expression of two comparisons at one point in time.

    "When comparison operators are used between two time series, and only one of the time series has a value
    for a particular time stamp, the function treats the missing value in the other time series as 0." (Amazon
    CloudWatch User Guide, "Using math expressions with CloudWatch metrics"). Python compares False and True
    as 0 and 1, too.
    """
    assert set(expression) <= set("abcdefghijklmnopqrstuvwxyz()<> 0")
    known = {name: number or 0 for name, number in metrics.items()}
    return bool(eval(expression, {}, known))  # noqa: S307 - of our own template, see above


@pytest.mark.parametrize("template", [PIPELINE, WRITER], ids=["pipeline", "writer"])
def test_every_metric_is_one_that_is_there(template: dict[str, Any]) -> None:
    """In alarms, scaling and on the dashboard, with exactly the dimensions that AWS documents or we write."""
    named = set(metrics_of(template))
    assert named
    unknown = {
        (namespace, dimensions, name)
        for namespace, dimensions, name in named
        if name not in EMF_NAMES.get(dimensions, ())
        and name not in AWS_METRICS.get((namespace, frozenset(dimensions.split(","))), ())
    }
    assert unknown == set()


@pytest.mark.parametrize("name", ALARMS)
def test_every_alarm_says_what_to_do_and_is_heard(name: str) -> None:
    """Also when it is over; and what missing data means is decided, not left to the default."""
    alarm = ALARMS[name]
    assert alarm["AlarmDescription"]
    assert alarm["TreatMissingData"] in ("ignore", "notBreaching") or name == "NotReadyAlarm"
    assert 1 <= int(alarm_number(alarm, "DatapointsToAlarm")) <= int(alarm_number(alarm, "EvaluationPeriods"))
    if name == "WakeUpAlarm":
        assert alarm["AlarmActions"] == [{"Ref": "WakeUpScaling"}]
    else:
        assert (alarm["AlarmActions"], alarm["OKActions"]) == (TOPIC, TOPIC)


def alarm_number(alarm: dict[str, Any], field: str) -> int:
    """A number of an alarm; where a parameter has it, the parameter's default."""
    number = alarm[field]
    return PIPELINE["Parameters"][number["Ref"]]["Default"] if isinstance(number, dict) else int(number)


@pytest.mark.parametrize("stream", STREAMS)
def test_every_table_has_an_alarm_that_lives_when_its_stream_does_not(stream: str) -> None:
    """What is written to the table, beside what the producer got of its stream."""
    short = "".join(filter(str.isalnum, stream))
    table = {"Fn::Select": [1, {"Fn::Split": ["/", stream]}]}
    assert RESOURCES[f"StreamMapping{short}"]["Properties"]["EventSourceArn"] == stream
    alarm = ALARMS[f"StreamUnread{short}"]
    metrics = {each["Id"]: each["MetricStat"]["Metric"] for each in alarm["Metrics"] if "MetricStat" in each}
    assert metrics["written"]["MetricName"] == "ConsumedWriteCapacityUnits"
    assert metrics["written"]["Dimensions"] == [{"Name": "TableName", "Value": table}]
    assert (metrics["read"]["Namespace"], metrics["read"]["MetricName"]) == ("Replicator", "records")
    assert metrics["read"]["Dimensions"] == [
        {"Name": "FunctionName", "Value": {"Ref": "Producer"}},
        {"Name": "Table", "Value": table},
    ]


@pytest.mark.parametrize(
    ("written", "read", "alarm"),
    [
        (7, 9, False),
        (0, 0, False),
        (0, 3, False),  # read what was written in the period before
        (7, 0, True),
        (7, None, True),  # a disabled mapping, lost rights, another stream: the producer is not invoked
        (None, 3, False),
        (None, None, False),
    ],
)
def test_what_is_written_and_not_read_is_an_alarm(
    written: float | None, read: float | None, *, alarm: bool
) -> None:
    """Whether what is missing is reported as 0 or not at all."""
    assert UNREAD["Threshold"] == 0
    assert UNREAD["ComparisonOperator"] == "GreaterThanThreshold"
    assert value(expression_of(UNREAD), written=written, read=read) is alarm


def test_it_comes_within_a_quarter_of_an_hour() -> None:
    """Two periods of five minutes, and their delay; and one late point is not enough."""
    periods = {each["MetricStat"]["Period"] for each in UNREAD["Metrics"] if "MetricStat" in each}
    assert periods == {FIVE_MINUTES}
    assert (UNREAD["DatapointsToAlarm"], UNREAD["EvaluationPeriods"]) == (2, 3)


@pytest.mark.parametrize(
    ("waiting", "running", "wakes"),
    [(5, 0, True), (5, None, True), (5, 1, False), (0, 0, False), (0, 2, False), (None, None, False)],
)
def test_messages_wake_a_writer_when_none_runs(
    waiting: float | None, running: float | None, *, wakes: bool
) -> None:
    """And do not when one does, however many wait."""
    assert value(expression_of(ALARMS["WakeUpAlarm"]), waiting=waiting, running=running) is wakes


def expression_of(alarm: dict[str, Any]) -> str:
    (expression,) = [each["Expression"] for each in alarm["Metrics"] if "Expression" in each]
    return str(expression)


@pytest.mark.parametrize("name", COMPOSED)
def test_a_late_point_makes_no_alarm_stick(name: str) -> None:
    """FILL makes a value of the newest point that is not there yet; and M of N passes over it."""
    alarm = COMPOSED[name]
    assert "FILL" not in expression_of(alarm)
    assert alarm["DatapointsToAlarm"] < alarm["EvaluationPeriods"]


def test_the_scaling_divides_and_fills_nothing() -> None:
    """As AWS's own example does: messages that wait, by the tasks that run."""
    policy = RESOURCES["BacklogScaling"]["Properties"]["TargetTrackingScalingPolicyConfiguration"]
    metrics = policy["CustomizedMetricSpecification"]["Metrics"]
    (expression,) = [each["Expression"] for each in metrics if "Expression" in each]
    with_zero, without = expression["Fn::If"][1:]
    assert without == "waiting / running"
    assert "waiting / running" in with_zero["Fn::Sub"]
    assert "FILL" not in str(policy)


def test_the_mappings_tell_their_events() -> None:
    """For the dashboard: they are off by default."""
    mappings = [each for each in RESOURCES.values() if each["Type"] == "AWS::Lambda::EventSourceMapping"]
    assert len(mappings) == len(STREAMS)
    assert all(each["Properties"]["MetricsConfig"] == {"Metrics": ["EventCount"]} for each in mappings)


def test_what_is_given_up_has_an_alarm() -> None:
    """Where something can be: the rules ask for a failure queue then."""
    for name in ("GivenUpAlarm", "DroppedAlarm"):
        assert RESOURCES[name]["Condition"] == "HasFailureQueue"
        assert (ALARMS[name]["Threshold"], ALARMS[name]["DatapointsToAlarm"]) == (0, 1)


def test_the_dashboard_shows_all_alarms_that_are_always_there() -> None:
    """Those of tables have names that a template cannot know."""
    body = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    here = {
        name
        for name, resource in PIPELINE["Resources"].items()
        if name in ALARMS and "Condition" not in resource
    }
    assert here
    assert {name for name in here if f'"${{{name}.Arn}}"' not in body} == set()
