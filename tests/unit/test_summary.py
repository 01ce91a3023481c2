"""The end of `make test`: what ran, what failed, what was skipped, and what installs what is missing."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from local.paths import ROOT
from local.polling import HANG_TIMEOUT_S, wait_until
from tests.run import main
from tests.summary import Case, Part, read, summary
from tests.support.tools import MADE, PACKAGES, PACKAGES_IN_CI, need

XML = """<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest" tests="5">
<testcase classname="tests.unit.test_a" name="test_good[x]" file="tests/unit/test_a.py" line="1" time="0.5" />
<testcase classname="tests.unit.test_a.TestB" name="test_bad" file="tests/unit/test_a.py" line="2" time="2.5">
<failure message="assert 0">...</failure></testcase>
<testcase classname="tests.unit.test_a" name="test_fixture" file="tests/unit/test_a.py" line="3" time="0">
<error message="failed on setup">...</error></testcase>
<testcase classname="tests.unit.test_a" name="test_skipped" file="tests/unit/test_a.py" line="4" time="0">
<skipped type="pytest.skip" message="no time">...</skipped></testcase>
</testsuite></testsuites>
"""
SERVER = """
from pathlib import Path
import pytest

@pytest.fixture(scope="session")
def server():
    (Path(__file__).parent / "up").touch()
    yield
    (Path(__file__).parent / "down").touch()
"""
FILE = "tests/unit/test_a.py"
CASES = [
    Case(f"{FILE}::test_good[x]", 0.5, "passed"),
    Case(f"{FILE}::TestB::test_bad", 2.5, "failed"),
    Case(f"{FILE}::test_fixture", 0.0, "failed"),
    Case(f"{FILE}::test_skipped", 0.0, "skipped", "no time"),
]


def test_a_report_is_read() -> None:
    """Every test by the name that pytest takes; an error in a fixture is a failure."""
    assert read(XML) == CASES


def test_everything_is_summed_up() -> None:
    """Of all parts together, with the plain line at the very end."""
    good = [Case(f"g{number}", float(number), "passed") for number in range(12)]
    told = summary([Part("one", 61.2, 1, CASES), Part("two", 5.0, 0, good)], 7)
    assert told.splitlines()[-1] == "13 passed, 2 failed, 1 skipped"
    sections = {title: lines for title, *lines in map(str.splitlines, told.strip().split("\n\n"))}
    slowest = [line.split()[-1] for line in sections["The slowest tests"]]
    assert slowest == [*(f"g{number}" for number in range(11, 2, -1)), CASES[1].name]
    assert [line.split() for line in sections["Skipped"]] == [["1", "no", "time"]]
    assert [line.strip() for line in sections["Failed"]] == [CASES[1].name, CASES[2].name]
    assert [line.split() for line in sections["Parts"]] == [["61", "s", "one"], ["5", "s", "two"]]
    assert sections["The same order, examples and faults once more"] == ["           make test SEED=7"]


def test_a_part_that_broke_down_has_failed() -> None:
    """Pytest may end without a test that failed, or without a report."""
    told = summary([Part("one", 1.0, 3, []), Part("two", 1.0, 0, [])], 7)
    assert "one: pytest ended with status 3\n" in told
    assert told.endswith("0 passed, 1 failed, 0 skipped")


def test_one_line_installs_all_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever tests it was that said so."""
    monkeypatch.delenv("CI", raising=False)
    cases = []
    for programs in (["java", "npm"], ["openssl"], ["openssl", "chromium"]):
        with pytest.raises(pytest.skip.Exception) as skipped:
            need(*programs, find=lambda _: None)
        cases.append(Case("t", 0.0, "skipped", str(skipped.value)))
    assert cases[0].reason == (
        "there is no java and no npm; on Debian and Ubuntu: apt-get install openjdk-17-jre-headless npm"
    )
    told = summary([Part("one", 1.0, 0, cases)], 7)
    assert "\n           apt-get install chromium npm openjdk-17-jre-headless openssl\n" in told
    assert "apt-get" not in summary([Part("one", 1.0, 0, CASES)], 7)


def test_what_make_installs_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs of the checkout have no package: a target of the Makefile stands for it, which exists."""
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="there is no aws and no openssl") as skipped:
        need("aws", "openssl", find=lambda _: None)
    assert str(skipped.value).endswith(": apt-get install openssl && make .venv-awscli/awscli.txt")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for path, line in MADE.values():
        target = line.rpartition("make ")[2]
        assert re.search(f"^VENV_[A-Z]+ := {re.escape(target)}$", makefile, re.MULTILINE)
        assert path.is_relative_to(ROOT / Path(target).parent)


def test_in_ci_nothing_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missing fails there; what is there does not, wherever."""
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="apt-get install npm"):
        need("npm", find=lambda _: None)
    need(*PACKAGES, find=lambda program: f"/bin/{program}")


@pytest.mark.parametrize("package", PACKAGES_IN_CI.values())
def test_ci_installs_what_tests_need(package: str) -> None:
    """Its script has a list of its own: it runs before there is a Python environment."""
    assert f"+=({package})" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_all_parts_run_though_one_fails(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The failure is told at the end, and is the exit status; the seed is what was asked for."""
    (tmp_path / "test_bad.py").write_text("def test_it():\n    assert 0\n")
    (tmp_path / "test_good.py").write_text("import random\ndef test_it():\n    print(random.random())\n")
    parts = {name: ("-p", "no:cacheprovider", str(tmp_path / f"test_{name}.py")) for name in ("bad", "good")}
    assert main(["--seed", "7"], parts) == 1
    told = capfd.readouterr().out
    assert "--randomly-seed=7" in told
    assert told.endswith("make test SEED=7\n\n1 passed, 1 failed, 0 skipped\n")
    assert main(["--seed", "7"], {"good": parts["good"]}) == 0


def test_ctrl_c_stops_everything(tmp_path: Path) -> None:
    """No further part and no summary come, and what the part under way has started is stopped first."""
    (tmp_path / "conftest.py").write_text(SERVER)
    (tmp_path / "test_it.py").write_text("import signal\ndef test_it(server):\n    signal.pause()\n")
    arguments = ("-p", "no:cacheprovider", str(tmp_path))
    program = f"from tests.run import main; main([], {dict.fromkeys(['one', 'two'], arguments)})"
    with subprocess.Popen(  # noqa: S603 - a program of this test
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as run:
        wait_until((tmp_path / "up").exists, what="the test to begin")
        os.killpg(run.pid, signal.SIGINT)  # as a terminal does it
        told = run.communicate(timeout=HANG_TIMEOUT_S)[0]
    assert run.returncode != 0
    assert (tmp_path / "down").exists()
    assert "Parts" not in told
    assert "two" not in told
