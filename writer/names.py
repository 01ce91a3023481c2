"""Names in MongoDB: our own, and the names that the server allows. Pure.

Each function says what is wrong with a name, or returns None.

Source: MongoDB manual, "MongoDB limits and thresholds", "Naming restrictions".
"""

from typing import Literal

Library = Literal["motor", "pymongo"]
"""What talks to MongoDB."""

METADATA_FIELD = "_ddb"
"""The default name of the metadata field."""

OURS = "_replicator_"
"""What the names of our own collections begin with: nothing is replicated into them."""

TOMBSTONES = f"{OURS}tombstones"
"""Collection of the target database that keeps which documents were deleted, and at which version."""

MAPPINGS = f"{OURS}mappings"
"""Collection of the default database that keeps which rules the writers replicate each table by."""

WRITERS = f"{OURS}writers"
"""Collection of the default database that keeps which writers run, and where they can be asked."""

STREAMS = f"{OURS}streams"
"""Collection of the default database that keeps how far `follow` has read each stream, and who reads it."""

DEAD_LETTERS = f"{OURS}dead_letters"
"""Collection of the default database that keeps the dead letters of `follow`."""

_MAX_DATABASE_BYTES = 63
_NOT_IN_DATABASES = '/\\. "$*<>:|?\0'
_OWN_DATABASES = ("admin", "local", "config")


def database_problem(name: str) -> str | None:
    """Checks the name of a database."""
    if not name:
        return "is empty"
    if name in _OWN_DATABASES:
        return "belongs to MongoDB itself"
    if any(character in name for character in _NOT_IN_DATABASES):
        return "has a character MongoDB refuses"
    if len(name.encode()) > _MAX_DATABASE_BYTES:
        return f"has more than the {_MAX_DATABASE_BYTES} bytes MongoDB allows"
    return None


def collection_problem(name: str) -> str | None:
    """Checks the name of a collection; the driver refuses some that the server accepts."""
    if not name:
        return "is empty"
    if name.startswith((OURS, "system.")):
        return "is reserved"
    if "$" in name or "\0" in name or ".." in name or name[0] == "." or name[-1] == ".":
        return "is one that MongoDB refuses"
    return None


def field_problem(name: str) -> str | None:
    """Checks the name of a field that replication adds (attributes keep their names as they are)."""
    if not name:
        return "is empty"
    if name == "_id":
        return "is the document's key"
    if name.startswith("$") or "." in name or "\0" in name:
        return "begins with $, or holds a dot or NUL"
    return None
