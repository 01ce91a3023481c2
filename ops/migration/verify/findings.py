"""The report of a comparison, and the state of the last one, which MongoDB keeps."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from bson import json_util
from bson.codec_options import DatetimeConversion
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument

from ops.migration.json_lines import json_of
from ops.migration.verify.comparison import Kind
from ops.migration.verify.verifier import Finding
from shared.errors import FatalError
from shared.file_errors import words_of_file_error
from writer.mongodb.stored import RAW

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from ops.migration.images import Key
    from ops.migration.settings import Settings
    from ops.migration.verify.verifier import Counts

COLLECTION = "_replicator_verifications"
"""Collection of the target database: the last comparison of each table."""

_EXACT = json_util.JSONOptions(
    json_mode=json_util.JSONMode.CANONICAL, datetime_conversion=DatetimeConversion.DATETIME_AUTO
)
_BSON = "$bson"


def line_of(table: str, finding: Finding) -> str:
    """A finding as a line of JSON. `_id` is Extended JSON."""
    line = json.dumps(
        {
            "table": table,
            "kind": finding.kind,
            "key": json_of(finding.key),
            "_id": json_of_id(finding.document_id),
            "version": finding.version,
            "reason": finding.reason,
        },
        ensure_ascii=False,
    )
    return line.encode(errors="backslashreplace").decode()  # a stored version can be text that is not UTF-8


def read_findings(path: Path, table: str) -> Iterator[Finding]:
    """The findings of a table in a report, which can have other tables, too.

    Raises:
        FatalError: it cannot be read.
    """
    for content in _contents(path):
        try:
            if content["table"] == table:
                yield Finding(
                    Kind(content["kind"]),
                    _key(content["key"]),
                    _id_of(content["_id"]),
                    content["version"],
                    content["reason"],
                )
        except (ValueError, KeyError, TypeError, AttributeError, BSONError) as error:
            raise _no_report(path) from error


def tables_in(path: Path) -> list[str]:
    """The tables that a report has differences of, in alphabetical order; raises as `read_findings`."""
    return sorted({str(content["table"]) for content in _contents(path)})


def _contents(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                content = json.loads(line)
                if not isinstance(content, dict) or "table" not in content:
                    raise ValueError("a line does not name a table")
                yield content
    except OSError as error:
        raise FatalError(f"{path} cannot be read: {words_of_file_error(error)}") from error
    except ValueError as error:
        raise _no_report(path) from error


def _no_report(path: Path) -> FatalError:
    return FatalError(
        f"{path} is not a report of verify: make one with replicator verify TABLE --report {path.name}, or "
        "leave --report out"
    )


def json_of_id(document_id: Any) -> Any:
    """Extended JSON; what that cannot hold is BSON as base64, in a field that no `_id` can have."""
    if isinstance(document_id, RawBSONDocument):
        return {_BSON: b64encode(document_id.raw).decode()}
    return json.loads(json_util.dumps(document_id, json_options=_EXACT))


def _id_of(content: Any) -> Any:
    if isinstance(content, dict) and content.keys() == {_BSON}:
        return RawBSONDocument(b64decode(content[_BSON], validate=True), RAW)
    return json_util.loads(json.dumps(content), json_options=_EXACT)


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
    settings: Settings,
    table_id: str,
    counts: Counts,
    *,
    started: datetime,
    at: datetime,
    sample: int,
    settle: float,
) -> dict[str, Any]:
    """What MongoDB keeps of a comparison; nothing about single documents."""
    return {
        "_id": settings.table.name,
        "table_id": table_id,
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
