"""Redriving and dropping dead letters. Law: nothing is deleted that was not sent, or backed up, before.

Interrupted anywhere, a letter is at worst in both queues; the version guard makes repetition harmless.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, TextIO

from ops.aws import asking
from ops.console.exit_status import CommandError
from shared.batches import batches
from shared.dead_letter import entry_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from types_boto3_sqs import SQSClient

    from ops.queues.dead_letters import Letter
    from ops.queues.queue_browser import QueueBrowser


@dataclass(slots=True)
class Done:
    """What became of the letters.

    Attributes:
        done: how many were redriven or dropped.
        kept: why for those that stay, by id.
    """

    done: int = 0
    kept: dict[str, str] = field(default_factory=dict)


class Redrive:
    """Sends letters to the queue, then deletes them."""

    def __init__(self, sqs: SQSClient, queue_url: str, *, force: bool) -> None:
        """Begins with nothing sent.

        Args:
            sqs: the client.
            queue_url: where to.
            force: also what would be parked again.

        Raises:
            CommandError: there is no such queue, or it cannot be read.
        """
        self._sqs = sqs
        self._queue_url = queue_url
        self._force = force
        with asking("reading the attributes of the queue"):
            attributes = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["MaximumMessageSize"])
        self._limit = int(attributes["Attributes"]["MaximumMessageSize"])
        self._sent: set[bytes] = set()

    def perform(self, held: QueueBrowser, letters: Sequence[Letter], done: Done) -> None:
        """Redrives letters that `held` holds.

        Raises:
            CommandError: a call failed. What was sent and not deleted is sent again by the next redrive.
        """
        wanted: dict[str, Letter] = {}
        for letter in letters:
            digest = hashlib.blake2b(letter.body.encode(), digest_size=16).digest()
            if letter.unreadable and not self._force:
                done.kept[letter.id] = f"would be parked again: {letter.unreadable}"
            elif digest in self._sent:  # or this would go on for ever
                done.kept[letter.id] = f"came back at once, or was there twice: {letter.reason}"
            else:
                wanted[letter.id] = letter
                self._sent.add(digest)
        sent = self._send(wanted, done)
        failed = held.delete(sent)
        for each in sent:
            if each in failed:
                done.kept[each] = f"was sent, and could not be deleted ({failed[each]})"
            else:
                done.done += 1

    def _send(self, letters: dict[str, Letter], done: Done) -> list[str]:
        entries: list[dict[str, Any]] = [
            {
                "Id": each.id,
                "MessageBody": each.body,
                "MessageGroupId": each.lane,
                "MessageDeduplicationId": uuid.uuid4().hex,
            }
            for each in letters.values()
        ]
        sent = []
        for batch in batches(entries, entry_size, self._limit):
            request: Any = batch
            with asking("sending to the queue"):
                answer = self._sqs.send_message_batch(QueueUrl=self._queue_url, Entries=request)
            sent += [each["Id"] for each in answer.get("Successful", [])]
            for each in answer.get("Failed", []):
                done.kept[each["Id"]] = f"SQS refused it: {each['Code']}: {each.get('Message', '')}"
        return sent


class Drop:
    """Writes letters to a file, which `dlq restore` reads, then deletes them."""

    def __init__(self, backup: Path) -> None:
        """Makes no file yet.

        Args:
            backup: the file; it must not be there. It will hold what the letters hold, and is for its owner
                alone to read.
        """
        self._path = backup
        self._file: TextIO | None = None

    def perform(self, held: QueueBrowser, letters: Sequence[Letter], done: Done) -> None:
        """Drops letters that `held` holds.

        Raises:
            CommandError: a call failed; what is in the file may be in the queue, too.
            OSError: the file cannot be written, or is there already; the letters stay.
        """
        if self._file is None:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            self._file = os.fdopen(descriptor, "w", encoding="utf-8")
        for letter in letters:
            self._file.write(json.dumps(_backup(letter)) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        failed = held.delete([letter.id for letter in letters])
        done.kept |= {each: f"could not be deleted ({code})" for each, code in failed.items()}
        done.done += len(letters) - len(failed)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()


def restore(sqs: SQSClient, url: str, lines: Iterable[str]) -> Done:
    """Sends letters of a backup to the dead-letter queue, as they were there.

    Args:
        sqs: the client.
        url: of the dead-letter queue.
        lines: of the backup; empty ones count for nothing.

    Raises:
        CommandError: a line is none of a backup (then nothing is sent), or a call failed.
    """
    entries = [_restored(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    with asking("reading the attributes of the dead-letter queue"):
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["MaximumMessageSize"])
    done = Done()
    for batch in batches(entries, entry_size, int(attributes["Attributes"]["MaximumMessageSize"])):
        numbered: Any = [{**entry, "Id": str(index)} for index, entry in enumerate(batch)]
        with asking("sending to the dead-letter queue"):
            answer = sqs.send_message_batch(QueueUrl=url, Entries=numbered)
        done.done += len(answer.get("Successful", []))
        for each in answer.get("Failed", []):
            done.kept[batch[int(each["Id"])]["Id"]] = f"SQS refused it: {each['Code']}"
    return done


def _restored(number: int, line: str) -> dict[str, Any]:
    try:
        content = json.loads(line)
        return {
            "Id": str(content["id"]),
            "MessageBody": str(content["body"]),
            "MessageGroupId": str(content["group"]),
            "MessageDeduplicationId": uuid.uuid4().hex,
            "MessageAttributes": {
                str(name): {"DataType": "String", "StringValue": str(text)}
                for name, text in content["attributes"].items()
            },
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CommandError(f"line {number} is none of a backup; nothing is sent") from error


def _backup(letter: Letter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "group": letter.group,
        "sent_at": letter.sent_at,
        "attributes": letter.attributes,
        "body": letter.body,
    }
