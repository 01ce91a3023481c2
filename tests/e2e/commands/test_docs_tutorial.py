"""docs/tutorial.md: its lines run in their order, and the first terminal shows what the page says."""

from __future__ import annotations

import re
import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest

from local.paths import ROOT
from tests.support.local_run import Run, started
from tests.support.shown_lines import blocks, text_of

if TYPE_CHECKING:
    from pathlib import Path

PAGE = text_of("docs/tutorial.md")
OUTPUT = re.compile(r"\n\n```\n(.*?)\n```\n", re.DOTALL)


def test_the_lines_of_the_tutorial(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Each of them, as a reader types it, in a folder with the programs of the checkout."""
    if request.config.getoption("--stack") == "localstack":
        pytest.skip("the tutorial is about make run on the embedded emulator: make test")
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    files, start, rules, mistake, correction, look, kill = blocks(PAGE, ".")
    documents, edit, sentence = OUTPUT.findall(PAGE)

    def second_terminal(lines: str, **environment: str) -> str:
        done = subprocess.run(  # noqa: S603 - lines of our own page
            ["/bin/bash", "-euc", lines],
            cwd=tmp_path,
            env=environment or None,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    second_terminal(files)
    with started(*arguments_of(start), "--stack", "embedded", directory=tmp_path) as run:
        seen_in_order(run, documents)
        run.read_until("Replicating until Ctrl-C")
        exports = "\n".join(re.findall(r"^ +(export .*)$", run.output, re.MULTILINE))

        second_terminal(rules)
        seen_in_order(run, edit)
        assert run.read_until(r"^ +\{customer: \"ada\", number: 1\}.*")[0].count("ISODate") == 1
        run.read_until(r'^ +\{customer: "bob", number: 1\}')
        second_terminal(mistake)
        seen_in_order(run, re.sub(r"there\nare", "there are", sentence))
        second_terminal(correction)
        run.read_until(r"No rule has changed\.")

        assert "No difference." in second_terminal(f"{exports}\n{look.replace('status', 'status || true')}")
        newest = re.findall(r"^ +Process +(\d+)", run.output, re.MULTILINE)[-1]
        second_terminal(kill.replace("$WRITER", newest))
        run.read_until("The writer is running again")
        assert "No difference." in second_terminal(f"{exports}\n{look.splitlines()[1]}")
        run.process.terminate()
        assert run.end() == 0, run.output


def arguments_of(line: str) -> list[str]:
    """What the Makefile makes of the line for `python -m local run`."""
    # S603, S607: make of this project, which runs nothing.
    done = subprocess.run(  # noqa: S603
        ["make", "--dry-run", "--no-print-directory", *shlex.split(line)[1:]],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    words = shlex.split(done.stdout.replace("\\\n", " ").splitlines()[-1])
    return words[words.index("run") + 1 :]


def seen_in_order(run: Run, block: str) -> None:
    """Each line of the block is shown, whatever its columns' widths."""
    for line in block.splitlines():
        words = r"\s+".join(re.escape(word) for word in line.split())
        run.read_until(rf"^\s*{words}\s*$")
