"""What the mapping makes of a change: its document, or parts of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bson

from tests.support.builders import TABLE
from writer.mapping.document import image_of, locate
from writer.mapping.parser import parse_replication
from writer.mapping.rules import Rules, Table

if TYPE_CHECKING:
    from shared.change import Change

EXAMPLE = """
tables:
  mytable:
    key: [id]
    fields:
      age: {default: null}
      created_at: {convert: epoch_seconds}
"""


def rules(text: str, table: str = TABLE) -> Table:
    return Rules(parse_replication(text, "replication.yaml")).table(table)


def encoded(change: Change, replication: str = "") -> bytes:
    table = rules(replication, change.table)
    image = image_of(table, change, locate(table, change))
    assert image is not None
    return image.document


def document(change: Change, replication: str = "") -> dict[str, Any]:
    return bson.decode(encoded(change, replication))


def fields(change: Change, replication: str = "") -> dict[str, Any]:
    """The document without `_id` and metadata."""
    return {
        name: value for name, value in document(change, replication).items() if name not in {"_id", "_ddb"}
    }


def document_id(change: Change, replication: str = "") -> Any:
    return locate(rules(replication), change).document_id
