"""`replicator dlq --mongodb` on what `follow` has parked, beside a real `follow`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ops.queues.actions import Outcome, drop, new_backup
from ops.queues.selection import Selection
from ops.queues.stored_letters import StoredLetters
from tests.support.commands import replicator
from writer.names import DEAD_LETTERS, STREAMS

if TYPE_CHECKING:
    from pathlib import Path

    from local.stack import Stack
    from tests.contract.follow.test_process import People

HOOK = """
import pathlib
import time

HERE = pathlib.Path(__file__).parent

def checked(document, change):
    while (HERE / "stuck").exists():
        (HERE / "reached").touch()
        time.sleep(0.01)
    if document["n"] == 12 and not (HERE / "allowed").exists():
        raise ValueError
    return document
"""


@pytest.fixture(autouse=True)
def where(stack: Stack, people: People, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The target, as the process that follows has it, and a mapping that refuses items until `allow`."""
    monkeypatch.setenv("MONGODB_URI", stack.mongodb_uri)
    monkeypatch.setenv("MONGODB_DATABASE", people.target.name)
    (tmp_path / "checks.py").write_text(HOOK)
    mapping = tmp_path / "replication.yaml"
    mapping.write_text(f"tables: {{{people.name}: {{hook: 'checks:checked'}}}}\n")
    people.mapping = ""
    people.environment = {"REPLICATION_FILE": str(mapping), "PYTHONPATH": str(tmp_path)}


def letters(people: People) -> list[dict[str, Any]]:
    return list(people.target[DEAD_LETTERS].find())


def listed() -> list[dict[str, Any]]:
    return [json.loads(line) for line in replicator("dlq", "list", "--mongodb", "--json").out.splitlines()]


def refuse(people: People, *keys: str) -> None:
    """Changes that are parked."""
    people.switch(on=True)
    people.once()
    for key in keys:
        people.put(key, n={"N": "12"})
    people.once()
    assert len(letters(people)) == len(keys)


def allow(tmp_path: Path) -> None:
    (tmp_path / "allowed").touch()


def test_listing_and_showing(people: People) -> None:
    """With the same output as for a queue."""
    empty = replicator("dlq", "list", "--mongodb")
    assert (empty.status, empty.out) == (0, "There are no dead letters.\n")
    refuse(people, "one", "two")
    first, second = listed()
    assert {first["key"]["id"], second["key"]["id"]} == {"one", "two"}
    assert (first["table"], first["origin"], first["unreadable"]) == (people.name, None, None)
    text = replicator("dlq", "list", "--mongodb", "--key", '{"id": "one"}')
    assert (text.status, text.err) == (1, "")
    assert text.out.endswith(f"1 dead letter: 1 {first['code']}.\n")
    limited = replicator("dlq", "list", "--mongodb", "--limit", "1")
    assert limited.err == "These are the first 1; the collection has about 2. --limit shows more.\n"
    shown = replicator("dlq", "show", first["id"][:8], "--mongodb", "--json")
    assert (shown.status, json.loads(shown.out)) == (0, first)
    assert replicator("dlq", "show", "abcdefgh", "--mongodb").status == 1


def test_the_target_has_to_be_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MONGODB_URI")
    result = replicator("dlq", "list", "--mongodb")
    assert result.status == 2
    assert "--mongodb-uri" in result.err


def test_a_running_process_applies_what_is_redriven(people: People, tmp_path: Path) -> None:
    """And deletes the letter then. What still cannot be applied comes back, and says why."""
    refuse(people, "one", "two")
    child = people.follow()
    child.wait_until(lambda: "owner" in people.target[STREAMS].find_one(), what="follow to have the stream")
    back = replicator("dlq", "redrive", "--mongodb", "--key", "one")
    assert (back.status, back.out) == (1, "0 letters redriven.\n")
    assert "1 letter came back, such as " in back.err
    (again,) = [each for each in listed() if each["key"] == {"id": "one"}]
    assert again["origin"]
    allow(tmp_path)
    done = replicator("dlq", "redrive", "--all", "--mongodb")
    assert (done.status, done.out, done.err) == (0, "2 letters redriven.\n", "")
    assert people.documents() == {"one": {"n": 12}, "two": {"n": 12}}
    assert letters(people) == []
    assert child.stop() == 0


def test_what_is_redriven_waits_for_the_next_process(people: People, tmp_path: Path) -> None:
    """Nobody follows: the command says so, and nothing is lost, also if that process is killed."""
    refuse(people, "one", "two")
    done = replicator("dlq", "redrive", "--all", "--mongodb")
    assert (done.status, done.out) == (3, "0 letters redriven.\n")
    assert done.err == (
        f"2 letters are marked, and will be applied when one starts: no process follows {people.name} now.\n"
    )
    assert "2 of them are redriven" in replicator("dlq", "list", "--mongodb").err
    (tmp_path / "stuck").touch()
    child = people.follow()
    child.wait_until((tmp_path / "reached").exists, what="a letter to be in hand")
    child.kill()
    (tmp_path / "stuck").unlink()
    assert len(letters(people)) == 2
    people.target[STREAMS].update_many({}, {"$unset": {"owner": ""}})
    people.put("one", n={"N": "13"})
    people.once()
    assert {json.loads(each["key"])["id"] for each in letters(people)} - {"one"} == {"two"}
    allow(tmp_path)
    replicator("dlq", "redrive", "--all", "--mongodb")
    people.once()
    assert people.documents() == {"one": {"n": 13}, "two": {"n": 12}}
    assert letters(people) == []


def test_dropping_and_restoring(people: People, tmp_path: Path) -> None:
    """What is dropped is in the file, and comes back from it as it was; it is then redriven as before."""
    refuse(people, "one", "two")
    before = sorted(listed(), key=str)
    backup = tmp_path / "backup.jsonl"
    refused = replicator("dlq", "drop", "--all", "--mongodb", "--backup", str(backup), typed="n\n")
    assert refused.status == 1
    assert refused.out.startswith("Drop 2 dead letters (2 ")
    done = replicator("dlq", "drop", "--all", "--yes", "--mongodb", "--backup", str(backup))
    assert (done.status, done.out) == (0, f"2 letters dropped; the backup is {backup}.\n")
    assert letters(people) == []
    assert replicator("dlq", "restore", str(backup), "--mongodb").out == "2 letters restored.\n"
    assert replicator("dlq", "restore", str(backup), "--mongodb").status == 0
    unequal = {"sent_at": ""}
    assert sorted((each | unequal for each in listed()), key=str) == sorted(
        (each | unequal for each in before), key=str
    )
    allow(tmp_path)
    replicator("dlq", "redrive", "--all", "--mongodb")
    people.once()
    assert set(people.documents()) == {"one", "two"}


def test_what_the_copy_cannot_write(people: People, tmp_path: Path) -> None:
    """Is a dead letter; redriven, the item is copied as it is by then."""
    people.put("bad", n={"N": "12"})
    people.put("gone", n={"N": "12"})
    people.put("good", n={"N": "1"})
    people.switch(on=True)
    printed = people.once()
    assert "2 rejected (see replicator dlq list --mongodb)" in printed
    assert people.documents() == {"good": {"n": 1}}
    assert {each["key"]["id"] for each in listed()} == {"bad", "gone"}
    assert {(each["table"], each["unreadable"]) for each in listed()} == {(people.name, None)}
    child = people.follow()
    child.wait_until(lambda: "owner" in people.target[STREAMS].find_one(), what="follow to have the stream")
    back = replicator("dlq", "redrive", "--all", "--mongodb")
    assert (back.status, back.out) == (1, "0 letters redriven.\n")
    assert child.stop() == 0
    allow(tmp_path)
    people.delete("gone")
    replicator("dlq", "redrive", "--all", "--mongodb")
    people.once()
    assert people.documents() == {"good": {"n": 1}, "bad": {"n": 12}}
    assert letters(people) == []


def test_an_item_with_a_binary_key(stack: Stack, people: People, tmp_path: Path) -> None:
    """Its letter has the key as text, and the item is found by its bytes."""
    others = type(people)(stack, f"{people.name}-bytes", people.target, tmp_path, kind="B")
    others.mapping, others.environment = people.mapping, people.environment
    (tmp_path / "replication.yaml").write_text(f"tables: {{{others.name}: {{hook: 'checks:checked'}}}}\n")
    others.put(b"\x00\xff", n={"N": "12"})
    others.switch(on=True)
    assert "1 rejected" in others.once()
    allow(tmp_path)
    replicator("dlq", "redrive", "--all", "--mongodb")
    others.once()
    (document,) = others.target[others.name].find()
    assert (document["_id"], document["n"]) == (b"\x00\xff", 12)
    assert letters(people) == []


def test_another_mapping_is_what_helps(people: People, tmp_path: Path) -> None:
    """The copy was made by the old one, and that does not keep the next process from following."""
    refuse(people, "one")
    (tmp_path / "replication.yaml").write_text(f"tables: {{{people.name}: {{}}}}\n")
    assert replicator("dlq", "redrive", "--all", "--mongodb").status == 3
    assert "copied by another mapping" in people.once()
    assert people.documents() == {"one": {"n": 12}}
    assert letters(people) == []


def test_a_letter_that_has_changed_meanwhile_stays(stack: Stack, people: People, tmp_path: Path) -> None:
    """Somebody redrives it while another one is asked whether to drop it."""
    refuse(people, "one")
    outcome = Outcome()
    with (
        StoredLetters(stack.mongodb_uri, people.target.name) as stored,
        new_backup(tmp_path / "b.jsonl") as backup,
    ):
        (seen,) = stored.selected(Selection())
        replicator("dlq", "redrive", "--all", "--mongodb")
        drop(stored, seen, backup, outcome)
    assert (outcome.done, len(outcome.kept)) == (0, 1)
    assert len(letters(people)) == 1


def test_what_is_no_letter_stays(people: People) -> None:
    people.target[DEAD_LETTERS].insert_many([{"_id": 7}, {"_id": "a", "body": 3}])
    result = replicator("dlq", "list", "--mongodb")
    assert (result.status, result.out) == (3, "No dead letter could be read.\n")
    assert "2 documents in the collection cannot be read" in result.err
    assert replicator("dlq", "redrive", "--all", "--mongodb").status == 3
    assert len(letters(people)) == 2
