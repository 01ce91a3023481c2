"""Numbers in words."""

from __future__ import annotations

import pytest

from ops.console.terminal import age, bound, count, printable


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0s"), (0, "0s"), (59.9, "59s"), (60, "1m"), (3599, "59m"), (3600, "1h"), (86400 * 30, "30d")],
)
def test_an_age_is_at_least_that(seconds: float, text: str) -> None:
    """Cut off; a clock that is a little ahead is no negative age."""
    assert age(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0s"), (0.1, "1s"), (90, "90s"), (121, "3m"), (7200, "120m"), (7201, "3h"), (86400 * 2.5, "3d")],
)
def test_a_bound_is_not_exceeded(seconds: float, text: str) -> None:
    """Rounded up."""
    assert bound(seconds) == text


def test_count() -> None:
    """One of it, or several."""
    assert [count(number, "letter") for number in (0, 1, 1234)] == ["0 letters", "1 letter", "1,234 letters"]


def test_what_would_command_the_terminal_is_escaped() -> None:
    """Letters of all scripts, ends of lines and tabs stay."""
    assert printable("Grüße\n\t世界") == "Grüße\n\t世界"
    assert printable("\x1b[31m\u009b1m\u202e") == "\\x1b[31m\\x9b1m\\u202e"
