"""The report of a comparison, a JSON object a line; and the note that MongoDB keeps of the last one."""

from __future__ import annotations

import contextlib
import json
from base64 import b64decode
from dataclasses import asdict
from typing import IO, TYPE_CHECKING, Any

from bson import json_util

from ops.migration.backfill.copier import as_json
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
    """A finding as a line. Binary values of the key are base64 text, `_id` is Extended JSON."""
    return json.dumps(
        {
            "table": table,
            "kind": finding.kind,
            "key": as_json(finding.key),
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


@contextlib.contextmanager
def opened(path: Path | None, option: str, mode: str) -> Iterator[IO[str] | None]:
    """A file to write lines to; None: there is none.

    Raises:
        FatalError: it cannot be written.
    """
    if path is None:
        yield None
        return
    try:
        file = path.open(mode, encoding="utf-8")
    except OSError as error:
        raise FatalError(f"{option}: {path} cannot be written: {error}") from error
    with file:
        yield file


def replaces(note: Mapping[str, Any], before: Mapping[str, Any] | None) -> bool:
    """Whether a result takes the place of the one that is kept: a clean sample says less than everything."""
    says_less = not note["complete"] and note["clean"]
    return not (says_less and before is not None and before["complete"] and before["rules"] == note["rules"])


def note_of(  # noqa: PLR0913 - all that is kept
    setting: Settings, counts: Counts, *, started: datetime, at: datetime, sample: int, settle: float
) -> dict[str, Any]:
    """What is kept of a comparison; it says nothing of single documents."""
    return {
        "_id": setting.table.name,
        "target": setting.place,
        "rules": setting.digest,
        "started": started,
        "at": at,
        "complete": not sample,
        "sample": sample or None,
        "settle": settle,
        "clean": not counts.wrong,
        **asdict(counts),
    }
