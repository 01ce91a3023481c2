"""Whatever comes between, no letter is lost or stays hidden: interruptions, signals, a second command."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from ops.aws import Aws
from ops.queues.queue_browser import QueueBrowser
from tests.support.commands import replicator
from tests.support.dead_letter_queue import World, letter, listed

if TYPE_CHECKING:
    from pathlib import Path

    from local.stack import Stack


@pytest.mark.parametrize("action", ["redrive", "drop"])
def test_an_interruption_loses_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, action: str
) -> None:
    """Between sending (or writing) and deleting, the worst moment: all letters are there, and visible."""
    letters = [*map(letter, range(12))]
    world.park(letters)
    monkeypatch.chdir(tmp_path)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(QueueBrowser, "delete", interrupted)
    result = replicator("dlq", action, "--all", *(["--yes"] if action == "drop" else []))
    assert result.status == 130
    assert world.dead == (12, 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_makes_the_letters_visible_again(stack: Stack, world: World, number: signal.Signals) -> None:
    """In the middle of a listing whose output nobody reads; its own exit status, and no traceback."""
    world.park([letter(number, blob="x" * 50_000) for number in range(30)])
    with subprocess.Popen(
        [sys.executable, "-m", "ops", "dlq", "list", "--json"],
        env={
            **stack.environment(),
            "DEAD_LETTER_QUEUE_URL": world.queues.dead_letter_url,
            "PYTHONUNBUFFERED": "1",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as listing:
        assert listing.stdout
        assert listing.stdout.read(1) == b"{"  # some are held now, and more do not fit into the pipe
        assert world.dead[1] >= 1
        listing.send_signal(number)
        _, said = listing.communicate()
    assert (listing.returncode, said) == (128 + number, b"")
    assert world.dead == (30, 0)


class InterruptedSqs:
    """The real SQS; Ctrl-C comes when it has just answered."""

    def __init__(self, sqs: Any) -> None:
        self._sqs = sqs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sqs, name)

    def receive_message(self, **request: Any) -> Any:
        answer = self._sqs.receive_message(**request)
        signal.raise_signal(signal.SIGINT)
        return answer


def test_ctrl_c_during_a_receive_hides_nothing(world: World) -> None:
    """The answer is on its way, and what it hides is known to nobody else."""
    world.park([*map(letter, range(5))])
    sqs: Any = InterruptedSqs(Aws().sqs)
    with (
        pytest.raises(KeyboardInterrupt),
        QueueBrowser(sqs, world.queues.dead_letter_url) as held,
    ):
        next(held.batches())
    assert world.dead == (5, 0)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_two_at_once_do_not_get_in_each_others_way(world: World, held: QueueBrowser) -> None:
    """What one holds the other neither sees nor deletes, and says so; later it is there again."""
    world.park([*map(letter, range(12))])
    first = next(held.batches())
    assert len(first) == 10
    result = replicator("dlq", "redrive", "--all")
    assert (result.status, result.out) == (3, "2 letters redriven.\n")
    assert result.err.startswith("Cannot tell whether letters came back: about 10 in the dead-letter queue")
    held.__exit__()
    assert len(listed()) == 10
