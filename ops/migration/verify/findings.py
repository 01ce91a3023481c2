"""The report of a comparison, and the state of the last one, which MongoDB keeps."""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from bson import json_util

from ops.migration.json_lines import json_of
from ops.migration.verify.comparison import Kind
from ops.migration.verify.verifier import Finding
from shared.errors import FatalError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from ops.migration.images import Key
    from ops.migration.settings import Settings
    from ops.migration.verify.verifier import Counts

COLLECTION = "_replicator_verifications"
"""Collection of the target database: the last comparison of each table."""

_EXACT = json_util.CANONICAL_JSON_OPTIONS


def line_of(table: str, finding: Finding) -> str:
    """A finding as a line of JSON. `_id` is Extended JSON."""
    return json.dumps(
        {
            "table": table,
            "kind": finding.kind,
            "key": json_of(finding.key),
            "_id": json.loads(json_util.dumps(finding.document_id, json_options=_EXACT)),
            "version": finding.version,
            "reason": finding.reason,
        },
        ensure_ascii=False,
    )


def read_findings(path: Path, table: str) -> Iterator[Finding]:
    """The findings of a report.

    Raises:
        FatalError: it cannot be read, or is of another table.
    """
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                content = json.loads(line)
                if content["table"] != table:
                    raise FatalError(f"{path}: line {number} is of the table {content['table']!r}")
                yield Finding(
                    Kind(content["kind"]),
                    _key(content["key"]),
                    json_util.loads(json.dumps(content["_id"])),
                    content["version"],
                    content["reason"],
                )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FatalError(f"{path} is no report of verify: {error!r}") from error


def _key(content: Any) -> Key | None:
    if content is None:
        return None
    return {
        name: {kind: b64decode(text, validate=True) if kind == "B" else text for kind, text in value.items()}
        for name, value in content.items()
    }


def replaces(state: Mapping[str, Any], before: Mapping[str, Any] | None) -> bool:
    """Whether a state replaces the last one: a clean sample says less than a complete comparison."""
    says_less = not state["complete"] and state["clean"]
    return not (says_less and before is not None and before["complete"] and before["rules"] == state["rules"])


def state_of(  # noqa: PLR0913 - all that is kept
    settings: Settings, counts: Counts, *, started: datetime, at: datetime, sample: int, settle: float
) -> dict[str, Any]:
    """What MongoDB keeps of a comparison; nothing about single documents."""
    return {
        "_id": settings.table.name,
        "target": settings.namespace,
        "rules": settings.digest,
        "started": started,
        "at": at,
        "complete": not sample,
        "sample": sample or None,
        "settle": settle,
        "clean": not counts.wrong,
        **asdict(counts),
    }
