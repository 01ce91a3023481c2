"""A question before something is written: only what is typed after it is an answer."""

from __future__ import annotations

import asyncio
import io
import os
import pty
import sys

import pytest

from ops.console.confirmation import confirmed


@pytest.mark.parametrize(("answer", "agreed"), [(b"y\n", True), (b"n\n", False), (b"\n", False)])
async def test_what_was_typed_before_the_question_is_no_answer(
    monkeypatch: pytest.MonkeyPatch,
    answer: bytes,
    agreed: bool,  # noqa: FBT001 - a parameter of a test
) -> None:
    """A comparison takes minutes, and a person may have typed ahead, or pasted."""
    person, terminal = pty.openpty()
    shown = io.StringIO()
    with os.fdopen(terminal) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(sys, "stderr", shown)
        os.write(person, b"yes\nyes\n")
        asking = asyncio.create_task(confirmed("Go on?"))
        await asyncio.sleep(0)
        assert shown.getvalue() == "Go on? [y/N] "
        os.write(person, answer)
        assert await asking is agreed
    os.close(person)
