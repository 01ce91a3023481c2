"""The project of docs/testing.md, as a reader of that page would write it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

from local import paths

if TYPE_CHECKING:
    from pathlib import Path

    from local.stack import Stack

BLOCK = re.compile(r"^```(?:python|yaml)\n# (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_a_project_of_a_user(stack: Stack, tmp_path: Path) -> None:
    """Its tests pass as they are printed, on servers that the environment names, and leave no item behind."""
    page = (paths.ROOT / "docs" / "testing.md").read_text()
    for name, content in BLOCK.findall(page):
        (tmp_path / name).write_text(content)
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    named = {"AWS_ENDPOINT_URL": stack.endpoint_url, "MONGODB_URI": stack.mongodb_uri}
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:asyncio", "-p", "no:cacheprovider", "-ra"],
        cwd=tmp_path,
        # This stands for an installation in the project's own environment.
        env=os.environ | named | {"PYTHONPATH": str(paths.ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "4 passed" in result.stdout, result.stdout
    assert result.returncode == 0, result.stderr
    assert not {"people", "orders"} & set(stack.client("dynamodb").list_tables()["TableNames"])
