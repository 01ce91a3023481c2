"""A page of a log that cannot be read ends the command with a sentence: it is not taken for the end."""

from __future__ import annotations

from typing import Any

import pytest

from ops.console.exit_status import CommandError
from ops.logs.events import Event, merged

EVENT = {"timestamp": 5, "logStreamName": "s", "message": "text\n", "eventId": "1"}


class Logs:
    """Gives one answer."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def filter_log_events(self, **_: Any) -> Any:
        return self.answer


def events_of(answer: Any) -> list[Event]:
    logs: Any = Logs(answer)
    return list(merged(logs, ["group"], 0, 9))


def test_a_page_of_a_log() -> None:
    assert events_of({"events": [EVENT]}) == [Event(5, "group", "s", "text")]
    assert events_of({"events": []}) == []


@pytest.mark.parametrize(
    "answer",
    [
        *({}, None, [], "x"),
        {"events": None},
        {"events": "x"},
        {"events": [None]},
        {"events": [{}]},
        {"events": [{**EVENT, "timestamp": "x"}]},
        {"events": [{**EVENT, "message": 5}]},
        {"events": [{**EVENT, "logStreamName": 5}]},
        {"events": [EVENT], "nextToken": 5},
    ],
    ids=repr,
)
def test_a_page_that_cannot_be_read(answer: Any) -> None:
    with pytest.raises(CommandError, match="reading the log group group"):
        events_of(answer)
