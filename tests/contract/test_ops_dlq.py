"""`replicator dlq` on a real SQS API: everything is seen, nothing is lost, whatever comes in between."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import uuid
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from ops.aws import Aws
from ops.queues.actions import Outcome, Redrive
from ops.queues.queue_browser import QueueBrowser
from shared.dead_letter import DeadLetter, as_it_came
from tests.support.builders import MIB, TABLE, body_of, put
from tests.support.commands import replicator

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

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


@pytest.fixture
def world(
    stack: Stack,
    queues: Queues,
    aws_environment: None,  # noqa: ARG001 - needed for its effect
    monkeypatch: pytest.MonkeyPatch,
) -> World:
    """The queues, named as they are for the writer."""
    monkeypatch.setenv("QUEUE_URL", queues.url)
    monkeypatch.setenv("DEAD_LETTER_QUEUE_URL", queues.dead_letter_url)
    monkeypatch.setattr("ops.queues.queue_browser.WAIT_SECONDS", 0)  # the emulator overlooks nothing
    for name in ("REPLICATOR_STACK", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return World(stack, queues)


@pytest.fixture
def held(world: World) -> Iterator[QueueBrowser]:
    """Somebody else, who looks at the same dead letters."""
    with QueueBrowser(Aws().sqs, world.queues.dead_letter_url) as held:
        yield held


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


def test_all_are_listed_and_stay_as_they_were(world: World) -> None:
    """More than ten of one lane; afterwards all are visible at once, and nothing is in the queue."""
    world.park([letter(number, "bad-key" if number < 3 else "bad-conversion") for number in range(25)])
    result = replicator("dlq", "list")
    assert (result.status, result.err) == (1, "")
    *rows, empty, total = result.out.splitlines()
    assert (len(rows), empty) == (26, "")
    assert total == "25 dead letters: 22 bad-conversion, 3 bad-key."
    assert world.dead == (25, 0)
    assert sorted(int(each["sequence"]) for each in listed()) == [*range(25)]
    assert world.redriven() == []


def test_a_listing_ends_at_its_limit(world: World) -> None:
    """And says that there is more."""
    world.park([letter(number) for number in range(15)])
    result = replicator("dlq", "list", "--limit", "12", "--table", TABLE)
    assert "12 dead letters: 12 bad-conversion." in result.out
    assert result.err == "These are the first 12; the queue has about 15. --limit shows more.\n"
    assert world.dead == (15, 0)


def test_a_listing_ends_though_letters_become_visible_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those that were seen first do, if it takes too long; each is listed once."""
    world.park([letter(number) for number in range(3)])
    monkeypatch.setattr("ops.queues.queue_browser.HIDE_SECONDS", 0)
    assert len(listed()) == 3


def test_an_empty_queue_is_well(world: World, tmp_path: Path) -> None:
    """Exit status 0, and a sentence."""
    assert world.dead == (0, 0)
    result = replicator("dlq", "list")
    assert (result.status, result.out, result.err) == (0, "There are no dead letters.\n", "")
    assert replicator("dlq", "list", "--json").out == ""
    assert replicator("dlq", "redrive", "--all").status == 1
    dropped = replicator("dlq", "drop", "--all", "--yes", "--backup", str(tmp_path / "b"))
    assert (dropped.status, dropped.out) == (1, "0 letters dropped.\n")
    assert not (tmp_path / "b").exists()


def test_a_letter_is_shown_with_its_documents(world: World) -> None:
    """By its id or how that begins; the documents as they are, whatever they hold."""
    world.park([letter(1, name="Grüße 世界 \u009b31m", nested={"a": [1, None]}), letter(2)])
    first = next(each for each in listed() if each["sequence"] == "1")
    result = replicator("dlq", "show", first["id"])
    assert (result.status, result.err) == (0, "")
    assert "reason     field 'created_at': a text is not a number\n" in result.out
    assert f"lane       {LANE}\n" in result.out
    assert '  "name": "Grüße 世界 \\x9b31m",\n' in result.out
    by_prefix = replicator("dlq", "show", first["id"][:9], "--json")
    shown = json.loads(by_prefix.out)
    assert shown["changes"][0]["document"] == {
        "id": 1,
        "name": "Grüße 世界 \u009b31m",
        "nested": {"a": [1, None]},
    }
    assert shown["body"] == first["body"]
    missing = replicator("dlq", "show", "no-such-id")
    assert (missing.status, missing.out) == (1, "")
    assert missing.err == "There is no dead letter no-such-id, or it is in somebody else's hands.\n"
    assert world.dead == (2, 0)


def test_what_cannot_be_read_is_shown_as_it_came(world: World) -> None:
    """Also if it was compressed to fit, and redriving it needs to be asked for."""
    text = "{ this is no envelope " + "x" * (MIB - 1000)
    world.park([DeadLetter(as_it_came(text, MIB), LANE, "bad-envelope", "the message is not JSON")])
    (found,) = listed()
    assert found["body"] == text
    shown = replicator("dlq", "show", found["id"])
    assert "It would be parked again: " in shown.out
    assert shown.out.endswith(f"As it came:\n{text}\n")
    refused = replicator("dlq", "redrive", "--all")
    assert refused.status == 1
    assert refused.out == "0 letters redriven.\n"
    assert "would be parked again" in refused.err
    assert (world.dead, world.redriven()) == ((1, 0), [])
    assert replicator("dlq", "redrive", "--all", "--force").status == 0
    assert (world.dead, len(world.redriven())) == ((0, 0), 1)


def test_redriving_sends_to_the_lane_and_deletes(world: World) -> None:
    """A body of maximal size, too; the same ones can be redriven again within five minutes."""
    full = letter(3, blob="x" * (MIB - 500))
    letters = [*map(letter, range(3)), full]
    for _ in range(2):
        world.park([DeadLetter(each.body, LANE, "c", "r", message_id=uuid.uuid4().hex) for each in letters])
        result = replicator("dlq", "redrive", "--all")
        assert (result.status, result.out, result.err) == (0, "4 letters redriven.\n", "")
        assert world.dead == (0, 0)
        assert sorted(world.redriven()) == sorted((LANE, each.body) for each in letters)


def test_messages_that_sqs_moved_are_redriven_as_they_are(stack: Stack, world: World) -> None:
    """They have no attributes, several changes, and the group of their lane."""
    body = body_of(put(1), put(2, 2))
    world.sqs.set_queue_attributes(QueueUrl=world.queues.url, Attributes={"VisibilityTimeout": "0"})
    world.sqs.send_message(
        QueueUrl=world.queues.url, MessageBody=body, MessageGroupId=LANE, MessageDeduplicationId="1"
    )
    while world.dead == (0, 0):
        world.sqs.receive_message(QueueUrl=world.queues.url)
    (found,) = listed()
    assert (found["code"], found["table"], found["lane"]) == ("moved-by-sqs", TABLE, LANE)
    assert [each["sequence"] for each in found["changes"]] == ["1", "2"]
    assert replicator("dlq", "redrive", "--code", "moved-by-sqs", "--key", "2").status == 0
    stack.client("sqs").set_queue_attributes(QueueUrl=world.queues.url, Attributes={"VisibilityTimeout": "9"})
    assert world.redriven() == [(LANE, body)]


def test_only_those_that_are_meant(world: World) -> None:
    """By id, table, key and code; the others stay, visible."""
    other = DeadLetter(body_of(put(7, {"id": "a#1"}, table="other")), LANE, "bad-key", "r", table="other")
    world.park([*map(letter, range(4)), other])
    ids = {each["sequence"]: each["id"] for each in listed()}
    for arguments, left in (
        (["--table", "other", "--code", "bad-conversion"], 5),
        (["--key", "a#1"], 4),
        (["--key", '{"id": 3}'], 3),
        ([ids["0"], ids["1"]], 1),
        (["--table", TABLE, "--limit", "5"], 0),
    ):
        status = replicator("dlq", "redrive", *arguments).status
        assert (status, world.dead) == (int(left == 5), (left, 0))
    assert sorted(json.loads(body)["changes"][0]["seq"] for _, body in world.redriven()) == list("01237")


def test_somebody_has_to_say_which(world: World) -> None:
    """Nothing is redriven or dropped because an option was forgotten."""
    world.park([letter(1)])
    for action in ("redrive", "drop"):
        result = replicator("dlq", action)
        assert result.status == 2
        assert result.err == (
            "replicator: which letters? Name their IDs, --table, --key or --code, or say --all\n"
        )
        for empty in (["", "--yes"], ["abc"], ["--table", ""], ["--key", ""], ["--code", "", "--all"]):
            if action == "drop" or "--yes" not in empty:
                result = replicator("dlq", action, *empty)
                assert (result.status, "is a variable of the shell empty?" in result.err) == (2, True)
    assert world.dead == (1, 0)


def test_a_queue_is_not_redriven_into_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake in the settings."""
    monkeypatch.setenv("QUEUE_URL", world.queues.dead_letter_url)
    result = replicator("dlq", "redrive", "--all")
    assert result.err == "replicator: the queue and the dead-letter queue are the same\n"
    assert result.status == 2


@pytest.mark.parametrize("refusing", ["full", "missing"])
def test_what_the_queue_refuses_stays(world: World, monkeypatch: pytest.MonkeyPatch, refusing: str) -> None:
    """A letter is deleted only after the queue has it."""
    world.park([letter(1, blob="x" * 5000), letter(2)])
    if refusing == "full":
        world.sqs.set_queue_attributes(QueueUrl=world.queues.url, Attributes={"MaximumMessageSize": "1024"})
        result = replicator("dlq", "redrive", "--all")
        assert (result.status, result.out) == (1, "1 letter redriven.\n")
        assert "1 letter stayed, such as " in result.err
        assert world.dead == (1, 0)
    else:
        monkeypatch.setenv("QUEUE_URL", world.queues.url.replace(".fifo", "-missing.fifo"))
        result = replicator("dlq", "redrive", "--all")
        assert (result.status, result.out) == (2, "")
        assert result.err == (
            "replicator: reading the attributes of the queue: AWS knows no such queue: check its URL, and "
            "region and account\n"
        )
        assert world.dead == (2, 0)


def test_what_comes_back_is_not_sent_for_ever(world: World, held: QueueBrowser) -> None:
    """A writer that still cannot apply it parks it again at once, with the same body."""
    action, kept = Redrive(Aws().sqs, world.queues.url, force=False), []
    for turn in range(2):
        world.park([DeadLetter(letter(1).body, LANE, "bad-key", f"turn {turn}", message_id=str(turn))])
        done = perform(held, action)
        kept.append(list(done.kept.values()))
    assert kept == [[], ["came back at once, or was there twice: turn 1"]]
    assert len(world.redriven()) == 1


def perform(held: QueueBrowser, action: Redrive) -> Outcome:
    done = Outcome()
    for letters in held.batches():
        action.perform(held, letters, done)
    return done


@pytest.mark.parametrize("action", ["redrive", "drop"])
def test_an_interruption_loses_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, action: str
) -> None:
    """Between sending (or writing) and deleting, the worst moment: all letters are there, and visible."""
    letters = [*map(letter, range(12))]
    world.park(letters)
    monkeypatch.chdir(tmp_path)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(QueueBrowser, "delete", interrupted)
    result = replicator("dlq", action, "--all", *(["--yes"] if action == "drop" else []))
    assert result.status == 130
    assert world.dead == (12, 0)


def test_what_is_no_backup_is_not_restored(world: World, tmp_path: Path) -> None:
    """Nothing of it, and the line is named."""
    file = tmp_path / "b.jsonl"
    good = '{"id": "1", "group": "g", "sent_at": 1, "attributes": {}, "body": "x"}'
    for bad in ("{", "[]", '{"id": "1"}', good.replace("{}", "[]")):
        file.write_text(f"{good}\n\n{bad}\n")
        result = replicator("dlq", "restore", str(file))
        assert (result.status, result.out) == (2, "")
        assert result.err == "replicator: line 3 is none of a backup; nothing is sent\n"
    file.write_bytes(b"\xff")
    assert replicator("dlq", "restore", str(file)).status == 2
    assert world.dead == (0, 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_makes_the_letters_visible_again(stack: Stack, world: World, number: signal.Signals) -> None:
    """In the middle of a listing whose output nobody reads; its own exit status, and no traceback."""
    world.park([letter(number, blob="x" * 50_000) for number in range(30)])
    with subprocess.Popen(
        [sys.executable, "-m", "ops", "dlq", "list", "--json"],
        env={
            **stack.environment(),
            "DEAD_LETTER_QUEUE_URL": world.queues.dead_letter_url,
            "PYTHONUNBUFFERED": "1",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as listing:
        assert listing.stdout
        assert listing.stdout.read(1) == b"{"  # some are held now, and more do not fit into the pipe
        assert world.dead[1] >= 1
        listing.send_signal(number)
        _, said = listing.communicate()
    assert (listing.returncode, said) == (128 + number, b"")
    assert world.dead == (30, 0)


class InterruptedSqs:
    """The real SQS; Ctrl-C comes when it has just answered."""

    def __init__(self, sqs: Any) -> None:
        self._sqs = sqs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sqs, name)

    def receive_message(self, **request: Any) -> Any:
        answer = self._sqs.receive_message(**request)
        signal.raise_signal(signal.SIGINT)
        return answer


def test_ctrl_c_during_a_receive_hides_nothing(world: World) -> None:
    """The answer is on its way, and what it hides is known to nobody else."""
    world.park([*map(letter, range(5))])
    sqs: Any = InterruptedSqs(Aws().sqs)
    with (
        pytest.raises(KeyboardInterrupt),
        QueueBrowser(sqs, world.queues.dead_letter_url) as held,
    ):
        next(held.batches())
    assert world.dead == (5, 0)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_two_at_once_do_not_get_in_each_others_way(world: World, held: QueueBrowser) -> None:
    """What one holds the other neither sees nor deletes, and says so; later it is there again."""
    world.park([*map(letter, range(12))])
    first = next(held.batches())
    assert len(first) == 10
    result = replicator("dlq", "redrive", "--all")
    assert (result.status, result.out) == (0, "2 letters redriven.\n")
    assert result.err.startswith("About 10 more could not be looked at: they are in somebody else's hands")
    held.__exit__()
    assert len(listed()) == 10


def test_of_a_group_that_sqs_moved_only_the_first_are_seen(world: World) -> None:
    """SQS hands out no more; the listing says so, and redriving goes through all of them."""
    for number in range(14):
        world.send_raw(body_of(put(number, number)))
    result = replicator("dlq", "list")
    assert "10 dead letters: 10 not-said." in result.out
    assert result.err.startswith("About 4 more could not be looked at")
    assert replicator("dlq", "redrive", "--all").out == "14 letters redriven.\n"
    assert world.dead == (0, 0)


def test_dropping_backs_up_and_asks(world: World, tmp_path: Path) -> None:
    """The answer is no unless it is yes; what is dropped is in the file, all of it."""
    letters = [letter(number, "bad-key" if number else "bad-conversion", text="é") for number in range(3)]
    world.park(letters)
    backup = tmp_path / "backup.jsonl"
    for answer in ("n\n", "\n", ""):
        refused = replicator("dlq", "drop", "--code", "bad-key", "--backup", str(backup), typed=answer)
        assert refused.status == 1
        assert refused.out.startswith("Drop 2 dead letters (2 bad-key)? [y/N]: ")
        assert refused.out.endswith("Nothing is dropped.\n")
    assert (world.dead, backup.exists()) == ((3, 0), False)
    groups = world.groups()
    done = replicator("dlq", "drop", "--code", "bad-key", "--backup", str(backup), typed="y\n")
    assert (done.status, done.err) == (0, "")
    assert done.out.endswith(f"2 letters dropped; the backup is {backup}.\n")
    assert backup.stat().st_mode & 0o777 == 0o600
    lines = [json.loads(line) for line in backup.read_text().splitlines()]
    assert sorted(line["body"] for line in lines) == sorted(each.body for each in letters[1:])
    assert Counter(line["attributes"]["group"] for line in lines) == {LANE: 2}
    assert replicator("dlq", "restore", str(backup)).out == "2 letters restored.\n"
    assert {each["code"] for each in listed()} == {"bad-key", "bad-conversion"}
    assert {each["lane"] for each in listed()} == {LANE}
    assert world.groups() == groups
    assert replicator("dlq", "drop", "--code", "bad-key", "-y", "--backup", f"{backup}.2").status == 0
    again = replicator("dlq", "drop", "--all", "--yes", "--backup", str(backup))
    assert (again.status, again.err) == (
        2,
        f"replicator: the backup {backup} cannot be written: File exists; what is not in it stays\n",
    )
    assert world.dead == (1, 0)


def test_what_cannot_be_backed_up_stays(world: World, tmp_path: Path) -> None:
    """The file is written before anything is deleted; if that fails half-way, the letters stay."""
    world.park([letter(1)])
    backup = tmp_path / "b.jsonl"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        result = replicator("dlq", "drop", "--all", "--yes", "--backup", str(backup))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert result.status == 2
    assert result.err == (
        f"replicator: the backup {backup} cannot be written: File too large; what is not in it stays\n"
    )
    assert world.dead == (1, 0)


NOWHERE = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
NOBODY = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        (
            NOWHERE,
            "EndpointConnectionError: Could not connect to the endpoint URL",
        ),
        (NOBODY, "there are no AWS credentials: set AWS_PROFILE, or log in"),
        ({"AWS_PROFILE": "no-such"}, "ProfileNotFound: The config profile (no-such) could not be found"),
        ({"AWS_ENDPOINT_URL": "nonsense"}, "the AWS SDK cannot be used with its AWS_* variables"),
        (
            {"DEAD_LETTER_QUEUE_URL": ""},
            "which is the dead-letter queue? Give --stack NAME",
        ),
        ({"REPLICATOR_STACK": "no-such"}, "there is no CloudFormation stack no-such: check its name"),
        (
            {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1"},
            "AWS knows no such queue",
        ),
        (
            {"AWS_REGION": "", "AWS_DEFAULT_REGION": ""},
            "no region is set: set AWS_DEFAULT_REGION, or AWS_PROFILE",
        ),
    ],
)
def test_what_cannot_be_reached_is_said_in_a_sentence(
    world: World, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], sentence: str
) -> None:
    """One line on standard error, exit status 2, and no traceback."""
    assert world.dead == (0, 0)
    for name, value in environment.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)
    result = replicator("dlq", "list")
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("replicator: ")
    assert sentence in result.err
    assert result.err.count("\n") == 1
