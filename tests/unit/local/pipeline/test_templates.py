from local.pipeline.templates import load, without_composed_alarms, without_loops
from tests.support.deployments import without_types

TEMPLATE = """
AWSTemplateFormatVersion: 2010-09-09
Transform: AWS::LanguageExtensions
Resources:
  Scaling: {Type: "AWS::ApplicationAutoScaling::ScalingPolicy"}
  Fn::ForEach::Queues:
    - Name
    - !Ref Names
    - Queue&{Name}:
        Type: AWS::SQS::Queue
        Properties: {QueueName: !Ref Name, Tags: [{Key: !Ref Other, Value: !GetAtt A.B.C}]}
  Alarm:
    Type: AWS::CloudWatch::Alarm
    Properties:
      AlarmActions: [!Ref Scaling, !Ref Topic]
      OKActions: !If [A, [!Ref Topic], !Ref "AWS::NoValue"]
"""


def test_short_forms_are_read_as_long_ones() -> None:
    """So that a template can be written again as JSON, which has no short forms."""
    template = load(TEMPLATE)
    assert template["AWSTemplateFormatVersion"] == "2010-09-09"
    assert template["Resources"]["Alarm"]["Properties"]["OKActions"] == {
        "Fn::If": ["A", [{"Ref": "Topic"}], {"Ref": "AWS::NoValue"}]
    }


def test_loops_are_written_out() -> None:
    """One resource for each entry, named by its letters and digits, as AWS does it."""
    template = without_loops(load(TEMPLATE), {"Names": ["a-1", "b:2"]})
    assert "Transform" not in template
    assert list(template["Resources"]) == ["Scaling", "Queuea1", "Queueb2", "Alarm"]
    properties = template["Resources"]["Queueb2"]["Properties"]
    assert properties["QueueName"] == "b:2"
    assert properties["Tags"] == [{"Key": {"Ref": "Other"}, "Value": {"Fn::GetAtt": ["A", "B.C"]}}]


def test_alarms_over_several_metrics_are_taken_out() -> None:
    """In loops, too; other alarms stay."""
    metrics = {"Type": "AWS::CloudWatch::Alarm", "Properties": {"Metrics": []}}
    template = load(TEMPLATE)
    template["Resources"]["Composed"] = metrics
    template["Resources"]["Fn::ForEach::Queues"][2]["Composed&{Name}"] = metrics
    assert without_composed_alarms(template) == load(TEMPLATE)


def test_what_is_taken_out_is_named() -> None:
    """What referred to it no longer does."""
    template, gone = without_types(
        without_loops(load(TEMPLATE), {"Names": []}), "AWS::ApplicationAutoScaling::"
    )
    assert gone == ["Scaling"]
    assert template["Resources"]["Alarm"]["Properties"]["AlarmActions"] == [{"Ref": "Topic"}]
    assert "Scaling" not in template["Resources"]
