"""`replicator dlq drop` asks, and deletes only what is in the backup; `restore` brings that back."""

from __future__ import annotations

import json
import resource
from collections import Counter
from typing import TYPE_CHECKING

from tests.support.commands import replicator
from tests.support.dead_letter_queue import LANE, World, letter, listed

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_no_backup_is_not_restored(world: World, tmp_path: Path) -> None:
    """Nothing of it, and the line is named."""
    file = tmp_path / "b.jsonl"
    good = '{"id": "1", "group": "g", "sent_at": 1, "attributes": {}, "body": "x"}'
    for bad in ("{", "[]", '{"id": "1"}', good.replace("{}", "[]")):
        file.write_text(f"{good}\n\n{bad}\n")
        result = replicator("dlq", "restore", str(file))
        assert (result.status, result.out) == (2, "")
        assert result.err == "replicator: line 3 is not from a backup; nothing was sent\n"
    file.write_bytes(b"\xff")
    assert replicator("dlq", "restore", str(file)).status == 2
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
        assert refused.out.endswith("Nothing was dropped.\n")
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
        (
            f"replicator: the backup {backup} cannot be written: File exists; letters that are not in it "
            "were "
            "kept\n"
        ),
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
        f"replicator: the backup {backup} cannot be written: File too large; letters that are not in it "
        "were kept\n"
    )
    assert world.dead == (1, 0)
