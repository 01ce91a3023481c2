"""What is asked of the queues beside the work."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from shared.errors import FatalError, TransientError
from tests.support.fake_clock import FakeClock, settled
from tests.support.writer_context import Told, context_on
from writer.side_tasks import BACKLOG_INTERVAL, watch_backlog
from writer.telemetry.observer import Backlog

if TYPE_CHECKING:
    from collections.abc import Callable


class Queues:
    def __init__(self, *answers: Backlog | Exception) -> None:
        self.answers = list(answers)

    async def backlog(self) -> Backlog:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.mark.parametrize("error", [TransientError, FatalError], ids=["away", "refused"])
async def test_the_backlog_is_asked_for_again_and_again(error: Callable[[str], Exception]) -> None:
    """A missing answer ends nothing: the drain loops know what to do about it."""
    clock, told = FakeClock(), Told()
    context = context_on(clock, told)
    answers = Backlog(5, 1, 0), error("no"), Backlog(4, 0, 2)
    task = asyncio.create_task(watch_backlog(context, Queues(*answers).backlog))
    await clock.advance(2.5 * BACKLOG_INTERVAL)
    assert told.backlogs == [answers[0], answers[2]]
    context.stop.set()
    await settled()
    assert task.done()
    assert task.exception() is None
