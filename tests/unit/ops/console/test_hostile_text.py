"""What stands in the queue cannot command the terminal of the person who looks at it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ops.config.report import Report
from ops.console.exit_status import warn
from ops.console.terminal import Output
from ops.logs.entries import line_of
from ops.logs.events import Event
from ops.queues.dead_letters import letter_of
from ops.queues.peek import print_message
from ops.queues.view import print_letter, print_rows, row_of
from shared.envelope import encode_change
from tests.support.builders import LABEL, put
from writer.mapping.problems import Mistake

if TYPE_CHECKING:
    from ops.queues.dead_letters import Letter

NASTY = "\x1b]0;owned\x07\x1b[2J\u009b31m\u202e\rid"


def letter(body: str) -> Letter:
    text = {"DataType": "String", "StringValue": NASTY}
    names = ("code", "reason", "table", "key", "sequence", "message_id", "group")
    message: Any = {
        "MessageId": "0f2a91bc-5d1e-4c54-9a6b-0c7f6a1d2e3f",
        "ReceiptHandle": "r",
        "Body": body,
        "Attributes": {"SentTimestamp": "0", "ApproximateReceiveCount": "1", "MessageGroupId": NASTY},
        "MessageAttributes": dict.fromkeys(names, text),
    }
    return letter_of(message)


def envelope(**members: Any) -> str:
    change = json.loads(encode_change(put(5, NASTY, **{NASTY: NASTY})))
    return json.dumps({"v": 1, "table": NASTY, "stream": LABEL, "changes": [change]} | members)


BODIES = {
    "a change": envelope(),
    "no change": envelope(changes=[{NASTY: NASTY}]),
    "no stream": envelope(stream=NASTY),
    "a bad number": envelope(changes=[json.loads(encode_change(put(5))) | {"seq": NASTY}]),
    "no envelope": NASTY,
    "no JSON object": json.dumps(NASTY),
}


@pytest.mark.parametrize("terminal", [False, True], ids=["in a pipe", "on a terminal"])
@pytest.mark.parametrize("kind", BODIES)
def test_letters(
    kind: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *, terminal: bool
) -> None:
    """However it is looked at; a listing keeps one line per letter."""
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("COLUMNS", "120")
    shown = letter(BODIES[kind])
    print_letter(shown, 1.0)
    print_message(shown, 0, 1.0, documents=True)
    print_rows([row_of(shown, 1.0)])
    warn(f"replicator: {shown.reason}")
    Output().print(
        line_of(
            Event(0, "g", "s", json.dumps({"message": NASTY, "level": NASTY, NASTY: NASTY})),
            NASTY,
            9,
        )
    )
    printed = "".join(capsys.readouterr())
    assert "owned" in printed
    assert not set(printed) & set("\x07\u009b\u202e\r")
    assert "\x1b]" not in printed
    assert "\x1b[2J" not in printed
    assert terminal or "\x1b" not in printed


def test_mistakes_of_a_mapping(capsys: pytest.CaptureFixture[str]) -> None:
    """They quote what the file says."""
    Report("r.yaml", "", problems=[Mistake(NASTY, NASTY, 1, 1)]).print()
    printed = capsys.readouterr().out
    assert "owned" in printed
    assert not set(printed) & set("\x07\x1b\u009b\u202e\r")


def test_a_listing_has_one_line_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    """A name with an end of line in it makes no second letter."""
    body = envelope(table="t\n0f2a91bc  forged")
    print_rows([row_of(letter(body), 1.0)] * 2)
    assert len(capsys.readouterr().out.splitlines()) == 3
