"""Times as people type them."""

from __future__ import annotations

import pytest

from ops.console.exit_status import CommandError
from ops.console.time_arguments import parse_time

NOW = 1588269600.5  # 2020-04-30T18:00:00.5Z


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0s", NOW),
        ("90s", NOW - 90),
        ("15m", NOW - 900),
        ("4h", NOW - 14400),
        ("2d", NOW - 172800),
        ("1w", NOW - 604800),
        ("1h30m", NOW - 5400),
        ("1.5h", NOW - 5400),
        (" 1h ", NOW - 3600),
        ("99999d", 0),
        ("2020-04-30T17:47:22.395", 1588268842.395),
        ("2020-04-30T17:47:22Z", 1588268842),
        ("2020-04-30T19:47+02:00", 1588268820),
        ("2020-04-30", 1588204800),
    ],
)
def test_a_time(text: str, seconds: float) -> None:
    """A duration is before now; a time without an offset is UTC."""
    assert parse_time(text, NOW) == round(seconds * 1000)


@pytest.mark.parametrize(
    "text", ["", "4", "h", "4x", "-4h", "4h ago", "yesterday", "2020-13-01", "1.2.3s", "٤h"]
)
def test_what_is_no_time(text: str) -> None:
    """A sentence says what is; nothing is guessed."""
    with pytest.raises(CommandError, match="neither a duration, such as 90s"):
        parse_time(text, NOW)
