import os
import signal
from collections.abc import Iterator

import pytest

from local.processes import interrupts
from local.processes.interrupts import (
    Interrupted,
    ignore_signals,
    listen_to_signals,
    raise_if_requested,
    shield,
)


@pytest.fixture(autouse=True)
def listening(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Listen as `make run` does, then restore pytest's signal handlers."""
    monkeypatch.setattr("local.processes.interrupts._requests", interrupts._Requests())  # noqa: SLF001 - a fresh start
    before = {number: signal.getsignal(number) for number in interrupts.SIGNALS}
    listen_to_signals()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", interrupts.SIGNALS)
def test_a_signal_becomes_an_exception(number: int) -> None:
    """It says which signal it was, for the exit status."""
    with pytest.raises(Interrupted) as caught:
        os.kill(os.getpid(), number)
    assert caught.value.signal_number == number


def test_a_shield_holds_it_back_to_its_end() -> None:
    """What is started in a shield is also registered; only then the exception comes."""
    done = []

    def start_and_note() -> None:
        with shield():
            with shield():
                os.kill(os.getpid(), signal.SIGINT)
            done.append("noted")

    with pytest.raises(Interrupted):
        start_and_note()
    assert done == ["noted"]


def test_an_exception_leaves_a_shield_as_it_is() -> None:
    """A failure inside a shield is not replaced by the interruption."""

    def fail_to_start() -> None:
        with shield():
            os.kill(os.getpid(), signal.SIGINT)
            raise KeyError

    with pytest.raises(KeyError):
        fail_to_start()


def test_a_swallowed_interruption_is_remembered() -> None:
    """Ctrl-C cannot be lost: the next check raises it again."""
    raise_if_requested()
    with pytest.raises(Interrupted):
        os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(Interrupted):
        raise_if_requested()


def test_the_way_out_is_not_interrupted() -> None:
    """A second Ctrl-C changes nothing during the shutdown."""
    ignore_signals()
    for number in interrupts.SIGNALS:
        os.kill(os.getpid(), number)
    raise_if_requested()
