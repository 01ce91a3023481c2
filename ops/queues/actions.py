"""Redriving, dropping and restoring dead letters.

Law: no letter is deleted that was not sent, or backed up, before. An interruption leaves a letter in both
queues at worst, and the version guard makes repetition harmless.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

from ops.aws import asking
from ops.console.exit_status import CommandError
from ops.queues.queue_browser import DEAD_LETTERS, queue_numbers
from shared.batches import batches
from shared.dead_letter import entry_size
from shared.sqs_answers import NOT_ANSWERED, Fate, verdicts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from types_boto3_sqs import SQSClient

    from ops.queues.dead_letters import Letter
    from ops.queues.queue_browser import QueueBrowser
    from ops.queues.stored_letters import StoredLetters
    from shared.sqs_answers import Verdict


@dataclass(slots=True)
class Outcome:
    """What became of the letters.

    Attributes:
        done: how many were redriven, dropped or restored, and did not come back.
        kept: the reason for each letter that stays, by id.
        returned: the reason of each letter that came back after it was redriven, by its new id.
    """

    done: int = 0
    kept: dict[str, str] = field(default_factory=dict)
    returned: dict[str, str] = field(default_factory=dict)


class Redrive:
    """Sends letters to the queue, then deletes them, and recognises those that come back.

    A letter tells the id of the message that it was parked from, and a message that SQS itself moves keeps
    its id: so a letter came back exactly if one of both is the id of a message that was sent here.
    """

    def __init__(self, sqs: SQSClient, queue_url: str, *, force: bool) -> None:
        """Reads the queue's size limit. With `force`, letters that would be parked again are redriven, too.

        Raises:
            CommandError: there is no such queue, or it cannot be read.
        """
        self._sqs = sqs
        self._queue_url = queue_url
        self._force = force
        self._limit = queue_numbers(sqs, queue_url, "the queue", "MaximumMessageSize")[0]
        self._sent: set[bytes] = set()
        self._letters: dict[str, str] = {}  # by the id of the message that was sent for it
        self._returned: set[str] = set()

    def perform(self, browser: QueueBrowser, letters: Sequence[Letter], outcome: Outcome) -> None:
        """Redrives letters that `browser` holds.

        Raises:
            CommandError: a call failed. What was sent and not deleted is sent again by the next redrive.
        """
        entries: list[dict[str, Any]] = []
        for letter in self.without_returned(letters, outcome):
            digest = hashlib.blake2b(letter.body.encode(), digest_size=16).digest()
            if letter.unreadable and not self._force:
                outcome.kept[letter.id] = f"would be parked again: {letter.unreadable}"
            elif digest in self._sent:  # or this would never end
                outcome.kept[letter.id] = f"is in the queue twice, and one was redriven: {letter.reason}"
            else:
                self._sent.add(digest)
                entries.append(
                    {
                        "Id": letter.id,
                        "MessageBody": letter.body_to_send(self._limit),
                        "MessageGroupId": letter.lane,
                        "MessageDeduplicationId": uuid.uuid4().hex,
                    }
                )
        sent = self._send(entries, outcome)
        failed = browser.delete(sent)
        outcome.kept |= {
            each: f"was sent, but could not be deleted ({code})" for each, code in failed.items()
        }
        outcome.done += len(sent) - len(failed)

    def without_returned(self, letters: Sequence[Letter], outcome: Outcome) -> list[Letter]:
        """The letters but those that came back after they were redriven, which are noted."""
        others = []
        for letter in letters:
            sent_for = self._letters.get(letter.origin) or self._letters.get(letter.id)
            if sent_for is None:
                others.append(letter)
                continue
            outcome.returned[letter.id] = letter.reason
            if sent_for not in self._returned:  # a message of many changes can come back in parts
                self._returned.add(sent_for)
                outcome.done -= 1
        return others

    def _send(self, entries: list[dict[str, Any]], outcome: Outcome) -> list[str]:
        """Sends the entries, and returns the ids of those that SQS accepted."""
        sent = []
        for batch in batches(entries, entry_size, self._limit):
            request: Any = batch
            with asking("sending to the queue"):
                answer = self._sqs.send_message_batch(QueueUrl=self._queue_url, Entries=request)
            self._letters |= _message_ids(answer)
            for each, verdict in verdicts(answer, [entry["Id"] for entry in batch]).items():
                if verdict.fate is Fate.DONE:
                    sent.append(each)
                else:
                    outcome.kept[each] = _not_taken(verdict)
        return sent


def new_backup(path: Path) -> TextIO:
    """Creates the file that `drop` writes. Only its owner can read it, because it holds documents.

    Raises:
        OSError: it cannot be created, or exists already.
    """
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8")


def drop(
    browser: QueueBrowser | StoredLetters, letters: Sequence[Letter], backup: TextIO, outcome: Outcome
) -> None:
    """Writes letters that `browser` holds to a file, which `restore` reads, then deletes them.

    Raises:
        CommandError: a call failed; letters in the file may still be in the queue.
        OSError: the file cannot be written; the letters stay.
    """
    backup.writelines(json.dumps(_backup(letter)) + "\n" for letter in letters)
    backup.flush()
    os.fsync(backup.fileno())
    failed = browser.delete([letter.id for letter in letters])
    outcome.kept |= {each: f"could not be deleted ({code})" for each, code in failed.items()}
    outcome.done += len(letters) - len(failed)


def restore(sqs: SQSClient, url: str, lines: Iterable[str]) -> Outcome:
    """Sends the letters of a backup to the dead-letter queue, as they were there.

    Raises:
        CommandError: a line is not of a backup (then nothing is sent), or a call failed.
    """
    entries = [_restored(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    limit = queue_numbers(sqs, url, DEAD_LETTERS, "MaximumMessageSize")[0]
    outcome = Outcome()
    for batch in batches(entries, entry_size, limit):
        numbered: Any = [{**entry, "Id": str(index)} for index, entry in enumerate(batch)]
        with asking(f"sending to {DEAD_LETTERS}"):
            answer = sqs.send_message_batch(QueueUrl=url, Entries=numbered)
        found = verdicts(answer, [entry["Id"] for entry in numbered])
        for entry, verdict in zip(batch, found.values(), strict=True):
            if verdict.fate is Fate.DONE:
                outcome.done += 1
            else:
                outcome.kept[entry["Id"]] = _not_taken(verdict)
    return outcome


def restore_stored(stored: StoredLetters, lines: Iterable[str]) -> Outcome:
    """Puts the letters of a backup into MongoDB; what is there already stays.

    Raises:
        CommandError: a line is not of a backup (then nothing is put back).
        TransientError, FatalError: MongoDB.
    """
    entries = [_restored(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    for batch in batches(entries):
        stored.put(batch)
    return Outcome(done=len(entries))


def _message_ids(answer: Any) -> dict[str, str]:
    """The ids of the entries that were sent, by those of their messages; what cannot be read is left out."""
    entries = answer.get("Successful") if isinstance(answer, dict) else None
    return {
        str(each["MessageId"]): str(each["Id"])
        for each in (entries if isinstance(entries, list) else ())
        if isinstance(each, dict) and each.get("MessageId") and each.get("Id")
    }


def _not_taken(verdict: Verdict) -> str:
    if verdict.code == NOT_ANSWERED:
        return "SQS did not say whether it accepted the message"
    return f"SQS refused it: {verdict.code}: {verdict.reason}".rstrip(": ")


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
        raise CommandError(f"line {number} is not from a backup; nothing was sent") from error


def _backup(letter: Letter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "group": letter.group,
        "sent_at": letter.sent_at,
        "attributes": letter.attributes,
        "body": letter.body,
    }
