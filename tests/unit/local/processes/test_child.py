import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from local.errors import StackError
from local.paths import ROOT
from local.polling import wait_until
from local.processes.child import Child, base_environment

IGNORES_SIGTERM = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ignoring", flush=True)
signal.pause()
"""
PARENT = """
import sys
from pathlib import Path
from local.processes.child import Child
folder = Path(sys.argv[1])
command = ["sh", "-c", "echo up; exec sleep 600"]
child = Child("sleeper", command, environment={}, log=folder / "log", directory=folder)
child.wait_until(child.log.read_text, what="the command")
print(child.pid, flush=True)
input()
"""


def python(program: str, folder: Path) -> Child:
    return Child(
        "The program",
        [sys.executable, "-c", program],
        environment=base_environment(),
        log=folder / "program.log",
        directory=folder,
    )


def is_alive(pid: int) -> bool:
    """Whether a process, perhaps not our child, is running. A zombie is not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_stop_lets_a_process_end_in_order(tmp_path: Path) -> None:
    """SIGTERM comes first, and the exit status that it leads to is reported."""
    child = python(
        "import signal, sys; signal.signal(15, lambda *_: sys.exit(7)); print(1, flush=True)\n"
        "while True: signal.pause()",
        tmp_path,
    )
    child.wait_until(child.log.read_text, what="the handler")
    assert child.stop() == 7
    assert not child.running


def test_stop_insists(tmp_path: Path) -> None:
    """A process that ignores SIGTERM is killed after the grace period."""
    child = python(IGNORES_SIGTERM, tmp_path)
    child.wait_until(lambda: "ignoring" in child.log.read_text(), what="the handler")
    assert child.stop(grace_s=0.1) == -signal.SIGKILL


def test_waiting_ends_with_the_process_and_tells_why(tmp_path: Path) -> None:
    """A server that died at once is not waited for; the end of its log is the reason."""
    child = python("raise SystemExit('the port is on fire')", tmp_path)
    with pytest.raises(StackError, match=r"The program stopped unexpectedly \(exit status 1\)") as caught:
        child.wait_until(lambda: False, what="a miracle")
    assert caught.value.log_tail == "the port is on fire"


def test_a_program_that_does_not_exist_is_reported(tmp_path: Path) -> None:
    """Directly or through the leash: the error names the missing program."""
    child_log = tmp_path / "log"
    with pytest.raises(StackError, match="Nothing") as caught:
        Child(
            "Nothing", [tmp_path / "nothing"], environment={}, log=child_log, directory=tmp_path
        ).wait_until(lambda: False, what="a miracle")
    assert "nothing" in str(caught.value) + caught.value.log_tail


def test_a_child_sees_the_given_environment_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's proxies and AWS profiles reach no part of the stack."""
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid")
    monkeypatch.setenv("AWS_PROFILE", "production")
    child = python("import os; print(sorted(os.environ))", tmp_path)
    wait_until(lambda: not child.running, what="the end")
    assert "PATH" in child.log.read_text()
    assert "PROXY" not in child.log.read_text()
    assert "AWS" not in child.log.read_text()


def test_a_killed_parent_leaves_no_orphan(tmp_path: Path) -> None:
    """The kill -9 of `make run` ends everything that it started."""
    with subprocess.Popen(  # noqa: S603 - a program of this test
        [sys.executable, "-c", PARENT, tmp_path],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        assert is_alive(child)
        os.kill(parent.pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(child), what="the child to end")
