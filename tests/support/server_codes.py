"""All error codes that MongoDB has a name for."""

from __future__ import annotations

from pathlib import Path

_FILE = Path(__file__).with_name("server_codes.txt")


def server_codes() -> dict[int, str]:
    """Their names, by code."""
    lines = [line.split() for line in _FILE.read_text(encoding="utf-8").splitlines()]
    return {int(code): name for code, name in (line for line in lines if not line[0].startswith("#"))}
