"""The lines for a shell that the documents show: in blocks `sh`, and as code in a sentence. Pure."""

from __future__ import annotations

import re
import textwrap

from local.paths import ROOT

PAGES = [
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md"),
    *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")),
]
AWS = r"\baws\s+[a-z]"
"""Where the AWS CLI is called. In small letters it is nothing else."""
MONGOSH = r"\bmongosh\s+\S|^db\."
"""Where mongosh is called, or something is typed into it; only in code."""

_FENCED = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`]+)`")


def text_of(page: str) -> str:
    """A page as it is written."""
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(text: str, call: str) -> list[str]:
    """The blocks `sh` of a text in which there is such a call, in their order."""
    found = [textwrap.dedent(body) for _, kind, body in _FENCED.findall(text) if kind == "sh"]
    return [body for body in found if re.search(call, body)]


def spans(text: str, call: str) -> list[str]:
    """The code in sentences in which there is such a call, each on one line."""
    found = (" ".join(span.split()) for span in _SPAN.findall(_FENCED.sub("", text)))
    return [span for span in found if re.search(call, span)]


def fenced(page: str, kind: str) -> list[str]:
    """The blocks of a kind, such as `yaml`, on a page."""
    return [textwrap.dedent(body) for _, each, body in _FENCED.findall(text_of(page)) if each == kind]


def elsewhere(text: str, call: str) -> list[str]:
    """Such calls in neither of both: nobody would run them."""
    code = [body for _, kind, body in _FENCED.findall(text) if kind != "sh"]
    prose = _SPAN.sub("", _FENCED.sub("", text))
    return [found for part in (*code, prose) for found in re.findall(f".*{call}.*", part)]
