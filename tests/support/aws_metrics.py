"""Which metrics AWS documents, as far as the templates name them: no alarm on another name ever rings."""

from __future__ import annotations

from typing import Final

AWS_METRICS: Final = {
    # AWS Lambda Developer Guide, "Types of metrics for Lambda functions"; the dimensions are in "Viewing
    # metrics for Lambda functions".
    ("AWS/Lambda", frozenset({"FunctionName"})): {
        "Invocations",
        "Errors",
        "Throttles",
        "DestinationDeliveryFailures",
        "Duration",
        "IteratorAge",
        "ConcurrentExecutions",
    },
    ("AWS/Lambda", frozenset({"EventSourceMappingUUID"})): {
        # Of the group EventCount, for DynamoDB streams.
        "PolledEventCount",
        "FilteredOutEventCount",
        "InvokedEventCount",
        "FailedInvokeEventCount",
        "DroppedEventCount",
        "OnFailureDestinationDeliveredEventCount",
    },
    # Amazon SQS Developer Guide, "Available CloudWatch metrics for Amazon SQS".
    ("AWS/SQS", frozenset({"QueueName"})): {
        "ApproximateAgeOfOldestMessage",
        "ApproximateNumberOfGroupsWithInflightMessages",  # of FIFO queues
        "ApproximateNumberOfMessagesNotVisible",
        "ApproximateNumberOfMessagesVisible",
        "NumberOfMessagesSent",
    },
    # Amazon DynamoDB Developer Guide, "DynamoDB metrics and dimensions".
    ("AWS/DynamoDB", frozenset({"TableName"})): {"ConsumedWriteCapacityUnits"},
    # Amazon CloudWatch User Guide, "Amazon ECS Container Insights metrics".
    ("ECS/ContainerInsights", frozenset({"ClusterName", "ServiceName"})): {"RunningTaskCount"},
}
"""Namespace and names of the dimensions → names of metrics."""
