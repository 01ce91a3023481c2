"""`Write`, what a plan is made of and a sink performs. Pure data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shared.change import Change

Identity = tuple[str, bytes]
"""Collection and canonical key: equal for equal documents."""


@dataclass(frozen=True, slots=True)
class Write:
    """One guarded write.

    Attributes:
        collection: where.
        document_id: the `_id`, as a BSON value.
        version: the change's version; only a document with a lower one is touched.
        document: the BSON of a put; None for a delete.
        change: the change behind it, for parking and logs.
        identity: equal for equal (collection, `_id`).
        message: index of the message that carried the change.
        messages: indices of all messages whose changes it stands for, that one included.
        changes: number of changes it stands for, the one it writes included.
    """

    collection: str
    document_id: Any
    version: str
    document: bytes | None
    change: Change
    identity: Identity
    message: int
    messages: frozenset[int]
    changes: int
