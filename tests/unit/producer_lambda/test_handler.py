"""The Lambda's wiring without any AWS; tests/contract has the rest."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from local.paths import ROOT
from producer_lambda import handler
from shared.errors import FatalError

if TYPE_CHECKING:
    from collections.abc import Iterator


class Context:
    def get_remaining_time_in_millis(self) -> int:
        return 30_000


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("QUEUE_URL", "DEAD_LETTER_QUEUE_URL", "LANES", "LOG_LEVEL", "OLD_IMAGE_FIELDS"):
        monkeypatch.delenv(name, raising=False)
    assert handler._runtime is None  # noqa: SLF001 - no test leaves one behind
    yield
    assert handler._runtime is None  # noqa: SLF001 - likewise


def test_import_reads_nothing() -> None:
    """Importing the handler needs no environment, and changes no logging: the first invocation does."""
    program = (
        "import os, logging\n"
        "class Trap(type(os.environ)):\n"
        "    def __getitem__(self, name):\n"
        "        assert not name.endswith('QUEUE_URL') and name not in ('LANES', 'LOG_LEVEL'), name\n"
        "        return super().__getitem__(name)\n"
        "os.environ.__class__ = Trap\n"
        "import producer_lambda.handler as handler\n"
        "assert handler._runtime is None and not logging.getLogger().handlers\n"
        "try:\n"
        "    handler.lambda_handler({'Records': []}, None)\n"
        "except AssertionError as error:\n"
        "    print('read at last:', error)\n"
    )
    run = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stderr == ""
    assert run.stdout.startswith("read at last:")


def test_every_mistake_in_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong environment fails the invocation with all that is wrong, and the next one looks again."""
    monkeypatch.setenv("LANES", "many")
    with pytest.raises(FatalError, match="settings: ") as caught:
        handler.lambda_handler({"Records": []}, Context())
    for name in ("QUEUE_URL is missing", "DEAD_LETTER_QUEUE_URL is missing", "LANES='many'"):
        assert name in str(caught.value)
    monkeypatch.delenv("LANES")
    with pytest.raises(FatalError) as again:
        handler.lambda_handler({"Records": []}, Context())
    assert "LANES" not in str(again.value)
