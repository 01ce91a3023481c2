"""docs/commands.md says what the commands say."""

from __future__ import annotations

from local.paths import ROOT
from ops.json_outputs.schemas import OUTPUTS
from tests.support.command_reference import reference


def test_the_page_is_what_the_commands_say() -> None:
    """If not: `make schema`."""
    assert (ROOT / "docs" / "commands.md").read_text(encoding="utf-8") == reference()


def test_every_output_is_on_it() -> None:
    """Each command that has `--json` shows its fields."""
    page = reference()
    for command in OUTPUTS:
        (section,) = (each for each in page.split("\n### ") if each.startswith(f"`{command}`"))
        assert "With `--json`:\n\n| field |" in section
