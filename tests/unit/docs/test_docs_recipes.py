"""docs/recipes.md: its template is one, and the alarms and tests that it names exist.

Its commands run in tests/e2e/commands/test_docs_shells.py.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from local.paths import ROOT
from local.pipeline.templates import load
from local.polling import HANG_TIMEOUT_S
from tests.support.shown_lines import fenced, text_of

PAGE: Final = "docs/recipes.md"
GAME_DAY: Final = text_of(PAGE).partition("\n## Game day\n")[2].partition("\n## ")[0]


def linted(template: str, folder: Path) -> str:
    """What cfn-lint has against a template."""
    file = folder / "template.yaml"
    file.write_text(template)
    done = subprocess.run(  # noqa: S603 - a tool of ours
        [Path(sys.executable).with_name("cfn-lint"), file],
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_TIMEOUT_S,
    )
    return done.stdout + done.stderr


def test_the_template_of_the_rotation(tmp_path: Path) -> None:
    """By cfn-lint, which finds nothing, and would."""
    (template,) = fenced(PAGE, "yaml")
    assert linted(template, tmp_path) == ""
    assert "EventPatterns" in linted(template.replace("EventPattern:", "EventPatterns:"), tmp_path)


def test_the_alarms_of_the_game_day_exist() -> None:
    """By their logical names."""
    texts = [(ROOT / "deploy" / f"{name}.yaml").read_text() for name in ("pipeline", "writer")]
    known = {name for text in texts for name in load(text)["Resources"]} | {"StreamUnread…"}
    assert "StreamUnread&" in texts[0]
    named = set(re.findall(r"`(\w+Alarm|StreamUnread…)`", GAME_DAY))
    assert "StreamUnread…" in named
    assert len(named) > 4
    assert named <= known


def test_the_tests_of_the_game_day_exist() -> None:
    """As functions, or as modules of several."""
    files = list((ROOT / "tests").rglob("test_*.py"))
    known = {path.stem for path in files}
    for path in files:
        known.update(re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE))
    named = re.findall(r"`(test_\w+)`", GAME_DAY)
    assert named
    assert [name for name in named if name not in known] == []
