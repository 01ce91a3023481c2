"""What a report must not say when people send it to us. Pure.

Law: it takes away too much rather than too little. Names that the operator chose (stack, table, database)
stay; the page says so.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

_RULES = (
    # Account ids, also inside ARNs and URLs of queues. Longer numbers go, too: nobody needs them.
    (re.compile(r"\d{12,}"), "ACCOUNT"),
    # Ids of access keys and of principals ("IAM identifiers", "Unique identifiers", AWS IAM User Guide).
    (re.compile(r"\b(?:A3T|ABIA|ACCA|AGPA|AIDA|AIPA|AKIA|ANPA|ANVA|APKA|AROA|ASCA|ASIA)[A-Z0-9]{8,}"), "ID"),
    (re.compile(r"arn:[^\s,;'\"()]+"), "ARN"),
    (re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^\s,;'\"()]+"), "URL"),
    (re.compile(r"\[[0-9a-fA-F:.%]+\](?::\d+)?"), "HOST"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b"), "HOST"),
    (re.compile(r"\b[a-zA-Z0-9][a-zA-Z0-9-]*(?:\.[a-zA-Z0-9-]+)+:\d+\b"), "HOST"),
    (re.compile(r"\blocalhost:\d+\b"), "HOST"),
)


def redacted(text: str, secrets: Collection[str] = ()) -> str:
    """The text without account ids, ARNs, URLs, addresses, and without these secrets.

    Args:
        text: any.
        secrets: words that must not occur, such as hosts; empty ones count for nothing.
    """
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "HOST")
    for pattern, name in _RULES:
        text = pattern.sub(name, text)
    return text
