"""A queue and its dead-letter queue on a real SQS API, and the letters that a test parks there."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from shared.dead_letter import DeadLetter
from tests.support.builders import MIB, TABLE, body_of, put
from tests.support.commands import replicator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from local.stack import Stack
    from tests.conftest import Queues

LANE = f"{TABLE}/5"


class World:
    """The two queues, and what is in them."""

    def __init__(self, stack: Stack, queues: Queues) -> None:
        self.sqs = stack.client("sqs")
        self.queues = queues

    def park(self, letters: Sequence[DeadLetter]) -> None:
        """As the writer and the Lambda do."""
        for start in range(0, len(letters), 10):
            entries: list[Any] = [
                each.entry(str(n), MIB) for n, each in enumerate(letters[start : start + 10])
            ]
            for entry in entries if sum(len(e["MessageBody"]) for e in entries) > MIB // 2 else ():
                self.sqs.send_message_batch(QueueUrl=self.queues.dead_letter_url, Entries=[entry])
                entries = []
            if entries:
                self.sqs.send_message_batch(QueueUrl=self.queues.dead_letter_url, Entries=entries)

    def send_raw(self, body: str, group: str = LANE) -> None:
        """As SQS moves a message: without attributes, in its lane."""
        self.sqs.send_message(
            QueueUrl=self.queues.dead_letter_url,
            MessageBody=body,
            MessageGroupId=group,
            MessageDeduplicationId=uuid.uuid4().hex,
        )

    def visible(self, url: str) -> tuple[int, int]:
        """How many messages are visible, and how many are not."""
        found = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        return int(found["ApproximateNumberOfMessages"]), int(found["ApproximateNumberOfMessagesNotVisible"])

    @property
    def dead(self) -> tuple[int, int]:
        """Visible and hidden dead letters."""
        return self.visible(self.queues.dead_letter_url)

    def groups(self) -> set[str]:
        """The message groups of up to ten dead letters."""
        messages = self.sqs.receive_message(
            QueueUrl=self.queues.dead_letter_url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=0,
            MessageSystemAttributeNames=["MessageGroupId"],
        )["Messages"]
        return {each["Attributes"]["MessageGroupId"] for each in messages}

    def redriven(self) -> list[tuple[str, str]]:
        """Takes what is in the queue: groups and bodies."""
        taken = []
        while batch := self.sqs.receive_message(
            QueueUrl=self.queues.url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["MessageGroupId"]
        ).get("Messages"):
            for message in batch:
                taken.append((message["Attributes"]["MessageGroupId"], message["Body"]))
                self.sqs.delete_message(QueueUrl=self.queues.url, ReceiptHandle=message["ReceiptHandle"])
        return taken


def letter(number: int, code: str = "bad-conversion", **image: Any) -> DeadLetter:
    change = put(number, number, **image)
    return DeadLetter(
        body=body_of(change),
        group=LANE,
        code=code,
        reason="field 'created_at': a text is not a number",
        table=TABLE,
        key=f'{{"id":{number}}}',
        sequence=str(number),
        message_id=f"m-{number}",
    )


def listed() -> list[dict[str, Any]]:
    return [json.loads(line) for line in replicator("dlq", "list", "--json").out.splitlines()]
