"""What the status page says about troubles and dead letters, and what docs/operations.md says."""

from __future__ import annotations

import re

import pytest

from local.paths import ROOT
from writer.status.advice import CHANGES, DEAD_LETTERS, TROUBLES, for_dead_letter
from writer.telemetry.observer import Cause, Result

OPERATIONS = (ROOT / "docs/operations.md").read_text()


def documented() -> set[str]:
    """The codes in the table of dead letters."""
    section = OPERATIONS.split("## Dead letters\n")[1]
    table = section.split("| code | meaning |")[1].split("\n\n")[0].strip()
    return {code for line in table.splitlines() for code in re.findall(r"`([^`]+)`", line.split("|")[1])}


def test_every_documented_code_has_advice_and_the_reverse() -> None:
    """The same codes in both places."""
    assert documented() == set(DEAD_LETTERS)


def test_every_cause_has_advice() -> None:
    """The set is fixed."""
    assert set(TROUBLES) == set(Cause)
    assert TROUBLES[Cause.MONGODB].meaning.startswith("MongoDB")


def test_the_page_names_a_section_that_is_there() -> None:
    """What to do about changes of an older stream takes more than a sentence."""
    (place,) = re.findall(r'see "(.+)" in (docs/\S+\.md)', CHANGES[Result.OLDER_STREAM].do)
    section, file = place
    assert f"\n## {section}\n" in (ROOT / file).read_text()


@pytest.mark.parametrize("code", [*sorted(DEAD_LETTERS), *sorted(TROUBLES), *sorted(CHANGES)])
def test_advice_is_short_and_plain(code: str) -> None:
    """Two sentences or so, each with its end."""
    advice = TROUBLES.get(code) or CHANGES.get(code) or for_dead_letter(code)
    for sentence in (advice.meaning, advice.do):
        assert sentence[0].isupper()
        assert sentence.endswith(".")
        assert len(sentence) < 130


def test_codes_that_nobody_listed() -> None:
    """MongoDB has hundreds; and a code of a newer producer is no reason to fail."""
    assert "manual" in for_dead_letter("mongodb-2").do
    assert for_dead_letter("mongodb-121").do == DEAD_LETTERS["mongodb-121"].do
    assert for_dead_letter("never-heard-of").command == "replicator dlq list --code never-heard-of"


@pytest.mark.parametrize("code", [*sorted(DEAD_LETTERS), *sorted(TROUBLES), *sorted(CHANGES)])
def test_without_a_queue_nothing_speaks_of_one(code: str) -> None:
    """A process that reads the streams itself keeps dead letters in MongoDB."""
    if "sqs" in code:
        return  # nobody else has those
    advice = (TROUBLES.get(code) or CHANGES.get(code) or for_dead_letter(code)).without_queue()
    assert not re.search("queue|SQS|writer|14 days", advice.meaning + advice.do)
    assert not advice.command or advice.command.endswith(" --mongodb")
    for sentence in (advice.meaning, advice.do):
        assert sentence[0].isupper()
        assert sentence.endswith(".")
        assert len(sentence) < 130
