"""`replicator status` on the queues alone."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from tests.support.builders import body_of, put
from tests.support.commands import replicator

if TYPE_CHECKING:
    from local.stack import Stack
    from tests.conftest import Queues


@pytest.mark.usefixtures("aws_environment")
def test_an_old_message_is_not_well(stack: Stack, queues: Queues, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its age comes from CloudWatch, under the name of the queue; the newest value counts."""
    monkeypatch.setenv("QUEUE_URL", queues.url)
    monkeypatch.setenv("DEAD_LETTER_QUEUE_URL", queues.dead_letter_url)
    monkeypatch.delenv("REPLICATOR_STACK", raising=False)
    stack.client("sqs").send_message(
        QueueUrl=queues.url, MessageBody=body_of(put(1)), MessageGroupId="g", MessageDeduplicationId="1"
    )
    make: Any = boto3.session.Session().client  # for one service, without its types
    now = datetime.now(UTC).timestamp()
    for ago, seconds in ((0, 240.0), (180, 7.0)):
        make("cloudwatch").put_metric_data(
            Namespace="AWS/SQS",
            MetricData=[
                {
                    "MetricName": "ApproximateAgeOfOldestMessage",
                    "Dimensions": [{"Name": "QueueName", "Value": queues.url.split("/")[-1]}],
                    "Timestamp": datetime.fromtimestamp(now - ago, UTC),
                    "Value": seconds,
                }
            ],
        )
    result = replicator("status", "--json")
    found = json.loads(result.out)
    assert result.status == 1
    assert found["queue"] == {"visible": 1, "in_flight": 0, "delayed": 0, "oldest_seconds": 240.0}
    assert found["problems"] == ["The oldest message has waited for 4m: the writers do not keep up."]
    assert (found["function"], found["behind_seconds_at_most"]) == (None, None)
    assert replicator("status", "--json", "--max-behind", "300").status == 0
