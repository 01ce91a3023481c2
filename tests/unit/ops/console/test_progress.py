"""Rows for many things at work: a terminal gets what it has room for, a pipe a line now and then."""

from __future__ import annotations

import pytest

from ops.console.progress import Board, Row
from tests.support.commands import plain

ROWS = [Row(f"table-{number}", "5 of about 10 items", 0.5) for number in range(30)]


@pytest.mark.parametrize("width", [80, 120])
def test_it_stays_on_the_screen(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What has no room is counted, and no line is longer than the terminal is wide."""
    for name, value in {"COLUMNS": str(width), "LINES": "12", "FORCE_COLOR": "1", "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)
    with Board() as board:
        board.show([Row("long-" * 40, "text " * 80), Row("bar", "text " * 80, 0.5), *ROWS], "")
        shown = plain(capsys.readouterr().err).splitlines()
    assert len(shown) < 12
    assert max(map(len, shown)) <= width
    assert "and 24 more" in shown[-1]
    assert " 50% 5 of about 10 items" in shown[2]


def test_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    """Every ten seconds, and not what was said last; nothing in it commands a terminal."""
    now = 0.0
    with Board(lambda: now) as board:
        for now, line in ((9, "one"), (10, "two"), (15, "three"), (20, "two"), (31, "four\x1b[2J")):  # noqa: B007
            board.show(ROWS, line)
    assert capsys.readouterr().err == "two\nfour\\x1b[2J\n"
