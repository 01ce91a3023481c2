"""How a command ends: a sentence and an exit status, whatever is raised in it."""

from __future__ import annotations

import signal

import pytest
import typer

from ops.console.exit_status import CommandError, ending, exits_with_status
from shared.errors import FatalError, PoisonError, TransientError


def raised(error: BaseException) -> int | str | None:
    """The exit status of a command that raises this."""

    @exits_with_status
    def command() -> None:
        raise error

    with pytest.raises(SystemExit) as ended:
        command()
    return ended.value.code


@pytest.mark.parametrize(
    "error",
    [
        CommandError("set X"),
        FatalError("set X"),
        TransientError("set X"),
        PoisonError("bad-key", "set X"),
        ExceptionGroup("several", [FatalError("set X"), FatalError("set X"), ValueError("secret")]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_a_person_can_help(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence on standard error, and 2."""
    assert raised(error) == 2
    assert capsys.readouterr() == ("", "replicator: set X\n")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("secret"),
        KeyError("secret"),
        UnicodeDecodeError("utf-8", b"secret", 0, 1, "secret"),
        RecursionError("secret"),
        AssertionError("secret"),
        OSError("secret"),
        ExceptionGroup("several", [KeyError("secret")]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_nobody_expects(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither 0, 1 nor 3; where it happened, and nothing of its text, which can be data (P8)."""
    assert raised(error) == 70
    out, err = capsys.readouterr()
    assert out == ""
    kind = type(error.exceptions[0] if isinstance(error, ExceptionGroup) else error).__name__
    assert err.startswith(f"replicator: this is a bug in replicator: {kind} at ")
    assert err.count("\n") == 1
    assert "secret" not in err
    if not isinstance(error, ExceptionGroup):
        assert "console/test_exit_status.py:" in err


@pytest.mark.parametrize("error", [typer.Exit(1), typer.Abort(), typer.BadParameter("no")], ids=repr)
def test_what_typer_prints(error: Exception) -> None:
    """Wrong use is typer's to print, and a status that a command chose stays."""
    with pytest.raises(type(error)), ending():
        raise error


def test_interrupted(capsys: pytest.CaptureFixture[str]) -> None:
    """130, as a shell counts it, and what is left of the work."""
    with pytest.raises(SystemExit) as ended, ending("Run it again."):
        raise KeyboardInterrupt
    assert ended.value.code == 130
    assert capsys.readouterr().err == "Stopped. Run it again.\n"


def test_terminated() -> None:
    """What the command holds is released first."""
    released = []

    @exits_with_status
    def command() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            released.append(True)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended:
        command()
    assert released
    assert ended.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before
