"""`replicator dlq list` and `show` name every letter as it is and leave it there; a failure is a sentence."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from shared.dead_letter import DeadLetter, as_it_came
from tests.support.builders import MIB, TABLE, body_of, put
from tests.support.commands import replicator
from tests.support.dead_letter_queue import LANE, World, letter, listed

if TYPE_CHECKING:
    from pathlib import Path


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
    assert missing.err == "There is no dead letter no-such-id, or someone else has it right now.\n"
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


def test_of_a_group_that_sqs_moved_only_the_first_are_seen(world: World) -> None:
    """SQS hands out no more; the listing says so, and redriving goes through all of them."""
    for number in range(14):
        world.send_raw(body_of(put(number, number)))
    result = replicator("dlq", "list")
    assert "10 dead letters: 10 not-said." in result.out
    assert result.err.startswith("About 4 more could not be read")
    assert replicator("dlq", "redrive", "--all").out == "14 letters redriven.\n"
    assert world.dead == (0, 0)


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
        (
            {"REPLICATOR_STACK": "no-such"},
            "there is no CloudFormation stack no-such in the region us-east-1: check the name",
        ),
        (
            {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1"},
            "AWS knows no such queue",
        ),
        (
            {"AWS_REGION": "", "AWS_DEFAULT_REGION": ""},
            "no AWS region is set: set AWS_REGION, or give --region",
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
