"""Which stored version makes a put one of an older stream."""

from __future__ import annotations

import pytest

from shared.version import BACKFILL, just_after
from tests.support.builders import put, write
from writer.mongodb.older_streams import is_from_older_stream, tell_older_streams
from writer.ports import Outcome

OLDER, NEWER = (
    put(7, stream=label).version for label in ("2020-04-30T17:47:21.395", "2020-05-30T17:47:21.395")
)


@pytest.mark.parametrize(
    ("version", "stored", "expected"),
    [
        (OLDER, NEWER, True),
        (OLDER, just_after(NEWER), True),
        (NEWER, OLDER, False),
        (NEWER, NEWER, False),
        (NEWER, just_after(NEWER), False),
        (put(6).version, put(7).version, False),
        (BACKFILL, NEWER, False),
        (just_after(BACKFILL), NEWER, False),
        (NEWER, BACKFILL, False),
        (OLDER, None, False),
        (OLDER, 7, False),
        (OLDER, {"v": NEWER}, False),
    ],
)
def test_only_a_later_label_counts(version: str, stored: object, expected: bool) -> None:  # noqa: FBT001
    """Not a later number of the same stream, not a copy, and not what an application wrote there."""
    assert is_from_older_stream(version, stored) == expected


async def test_nothing_is_asked_if_nothing_is_stale() -> None:
    """Nearly always: it costs no request."""
    outcome = Outcome(inserted=2)
    assert await tell_older_streams(None, [write(put(1)), write(put(2))], outcome) is outcome  # type: ignore[arg-type]
