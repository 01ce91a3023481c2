"""The queue and its dead-letter queue, and what an operator does with dead letters."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient
    from types_boto3_sqs.literals import QueueAttributeNameType


class FaultQueues:
    """A FIFO queue with its dead-letter queue.

    Attributes:
        url: The queue's URL.
        dead_letter_url: That of the dead-letter queue.
        redriven: How many dead letters were sent again.
    """

    def __init__(self, sqs: SQSClient, name: str, *, visibility: int, receives: int) -> None:
        """Create both queues.

        Args:
            sqs: A client.
            name: A unique name.
            visibility: The visibility timeout, seconds.
            receives: Receives after which SQS itself moves a message to the dead-letter queue.
        """
        self._sqs = sqs
        self.redriven = 0
        common: dict[QueueAttributeNameType, str] = {"FifoQueue": "true", "MaximumMessageSize": "1048576"}
        self.dead_letter_url = sqs.create_queue(QueueName=f"{name}-dead.fifo", Attributes=common)["QueueUrl"]
        described = sqs.get_queue_attributes(QueueUrl=self.dead_letter_url, AttributeNames=["QueueArn"])
        policy = {"deadLetterTargetArn": described["Attributes"]["QueueArn"], "maxReceiveCount": receives}
        common |= {"VisibilityTimeout": str(visibility), "RedrivePolicy": json.dumps(policy)}
        self.url = sqs.create_queue(QueueName=f"{name}.fifo", Attributes=common)["QueueUrl"]

    def backlog(self) -> int:
        """How many messages the queue has, including those in flight."""
        return self._messages(self.url)

    def in_flight(self) -> int:
        """How many messages of the queue are in flight."""
        attributes = self._sqs.get_queue_attributes(
            QueueUrl=self.url, AttributeNames=["ApproximateNumberOfMessagesNotVisible"]
        )["Attributes"]
        return int(attributes["ApproximateNumberOfMessagesNotVisible"])

    def letters(self) -> int:
        """How many dead letters there are."""
        return self._messages(self.dead_letter_url)

    def redrive(self) -> None:
        """Sends up to ten dead letters again, as they are, in their lanes."""
        answer = self._sqs.receive_message(
            QueueUrl=self.dead_letter_url,
            MaxNumberOfMessages=10,
            MessageAttributeNames=["group"],
            MessageSystemAttributeNames=["MessageGroupId"],
        )
        for letter in answer.get("Messages", []):
            self.redriven += 1
            lane = letter.get("MessageAttributes", {}).get("group")
            self._sqs.send_message(
                QueueUrl=self.url,
                MessageBody=letter["Body"],
                MessageGroupId=lane["StringValue"] if lane else letter["Attributes"]["MessageGroupId"],
                MessageDeduplicationId=f"redriven-{self.redriven}",
            )
            self._sqs.delete_message(QueueUrl=self.dead_letter_url, ReceiptHandle=letter["ReceiptHandle"])

    def delete(self) -> None:
        """Delete both queues."""
        for url in (self.url, self.dead_letter_url):
            self._sqs.delete_queue(QueueUrl=url)

    def _messages(self, url: str) -> int:
        attributes = self._sqs.get_queue_attributes(
            QueueUrl=url,
            AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
        )["Attributes"]
        return sum(int(number) for number in attributes.values())
