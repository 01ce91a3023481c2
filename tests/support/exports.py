"""Exports of a table to S3, as DynamoDB writes them, in a folder."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

OWN = "exports/AWSDynamoDB/0158-abc"


def write_export(
    folder: Path, table: Mapping[str, Any], items: Sequence[dict[str, Any]], at: datetime
) -> None:
    """Writes an export of two files; `table` is the table's description."""
    (folder / "data").mkdir(parents=True)
    lines = []
    for number, some in enumerate((items[::2], items[1::2])):
        content = gzip.compress("".join(json.dumps({"Item": item}) + "\n" for item in some).encode())
        name = f"data/{number}.json.gz"
        (folder / name).write_bytes(content)
        entry = {"itemCount": len(some), "md5Checksum": md5(content), "etag": "x-1"}
        lines.append(json.dumps({**entry, "dataFileS3Key": f"{OWN}/{name}"}) + "\n")
    summary = {
        "version": "2020-06-30",
        "exportArn": f"{table['TableArn']}/export/0158-abc",
        "tableArn": table["TableArn"],
        "tableId": table["TableId"],
        "exportTime": at.isoformat(),
        "manifestFilesS3Key": f"{OWN}/manifest-files.json",
        "itemCount": len(items),
        "outputFormat": "DYNAMODB_JSON",
    }
    write_manifest(folder, "manifest-files", "".join(lines))
    write_manifest(folder, "manifest-summary", json.dumps(summary))


def write_manifest(folder: Path, name: str, text: str) -> None:
    """Writes a manifest with its checksum."""
    (folder / f"{name}.json").write_text(text)
    (folder / f"{name}.md5").write_text(md5(text.encode()))


def md5(content: bytes) -> str:
    """As the manifests have it."""
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
