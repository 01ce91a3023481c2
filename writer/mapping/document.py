"""What a change becomes under the rules of its table: which document, with which content. Pure."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from bson import encode as bson_encode
from bson.errors import InvalidDocument

from shared.attribute_values import INT64_MAX, INT64_MIN
from shared.change import Change, Op
from shared.errors import PoisonError
from shared.keys import canonical_key
from shared.nesting import MAX_LEVELS, is_deeper
from writer.mapping.bson_values import Numbers, decode_map
from writer.mapping.hooks import Hook, call
from writer.mapping.model import NOT_BSON, Mode
from writer.mapping.rules import Table
from writer.write import Identity, Merge, Shard, Target

MAX_DOCUMENT_BYTES = 16 * 1024 * 1024 - 64 * 1024
"""MongoDB's limit of 16 MiB (manual, "MongoDB limits and thresholds"), less room for a command."""

MAX_KEY_BYTES = 2048
"""A partition key's limit; a sort key has 1024, a name 255 (DynamoDB developer guide, "Constraints")."""

_SURELY_SHORT = MAX_KEY_BYTES // 4  # a character has at most four bytes in UTF-8


class Image(NamedTuple):
    """What a put writes.

    Attributes:
        document: the document as BSON.
        version: of the change, which is in it.
        merge: how it is merged; None: it replaces what is there.
        shard: where it belongs in a sharded collection.
    """

    document: bytes
    version: str
    merge: Merge | None
    shard: Shard


def locate(table: Table, change: Change) -> Target:
    """Finds the document of a change.

    `_id` is the value of a single key attribute, or a document of both for a composite key.

    Raises:
        PoisonError: ``bad-key`` (not the attributes that the mapping names, more than two, or of a type that
            no key has), ``not-bson`` (a name with NUL) or ``bad-value``.
    """
    rule, key = table.rule, change.key
    # Nearly every key; the others, and those that are wrong, go the long way.
    if len(key) == 1:
        ((name, value),) = key.items()
        if (not rule.key or rule.key == (name,)) and _is_usual(value):
            identity: Identity = (table.database, table.collection, value)
            return Target(table.database, table.collection, value, identity, rule.metadata_field)
    names = rule.key or tuple(sorted(key))
    if (pair := _usual_pair(key, names)) is not None:
        identity = (table.database, table.collection, canonical_key({"": pair}))
        return Target(table.database, table.collection, pair, identity, rule.metadata_field)
    checked = _checked_key(change, names, rule.numbers)
    if len(names) == 1:
        wire_id, document_id = key[names[0]], checked[names[0]]
    else:
        fields = [(_inside_id(name, names), name) for name in names]
        wire_id = {field: key[name] for field, name in fields}
        document_id = {field: checked[name] for field, name in fields}
    # The same for one item, whichever way it came: a text or an integer stands for itself.
    part = wire_id if type(wire_id) in (str, int) else canonical_key({"": wire_id})
    identity = (table.database, table.collection, part)
    return Target(table.database, table.collection, document_id, identity, rule.metadata_field)


def _is_usual(value: Any) -> bool:
    """Whether a key attribute is a short text or an integer, which stands for itself."""
    if type(value) is str:
        return len(value) <= _SURELY_SHORT
    return type(value) is int and INT64_MIN <= value <= INT64_MAX


def _usual_pair(key: Mapping[str, Any], names: tuple[str, ...]) -> Mapping[str, Any] | None:
    """The `_id` of a composite key whose names and values stand for themselves."""
    if len(key) != 2 or len(names) != 2:  # noqa: PLR2004 - a partition and a sort key
        return None
    one, two = names
    if not (_is_usual(first := key.get(one)) and _is_usual(second := key.get(two))) or one == two:
        return None
    if any(len(name) > _SURELY_SHORT or name.startswith("$") or "\0" in name for name in names):
        return None
    return {one: first, two: second}


def _checked_key(change: Change, names: tuple[str, ...], numbers: Numbers) -> Mapping[str, Any]:
    """The key attributes as BSON values; raises as `locate`."""
    if len(names) > 2 or set(names) != change.key.keys():  # noqa: PLR2004 - a partition and a sort key
        raise PoisonError(
            "bad-key",
            f"the item's key is ({', '.join(sorted(change.key))}), but the mapping says ({', '.join(names)})",
        )
    # Two keys must not become one `_id`: the lossy policy is for values only.
    numbers = Numbers.NATIVE if numbers is Numbers.DOUBLE else numbers
    key = decode_map(change.key, numbers, tagged=change.tagged)
    if any(isinstance(value, dict | list | bool) or value is None for value in key.values()):
        raise PoisonError("bad-key", "a key attribute is not a string, number or binary value")
    if any(isinstance(value, int) and not INT64_MIN <= value <= INT64_MAX for value in key.values()):
        raise PoisonError("bad-value", "an integer of the key is beyond int64")
    if any(_bytes(part) > MAX_KEY_BYTES for part in (*names, *key.values())):
        raise PoisonError("bad-key", f"a part of the key has more than {MAX_KEY_BYTES} bytes")
    if len(names) > 1 and any("\0" in name for name in names):
        raise PoisonError("not-bson", "BSON cannot hold the key: an attribute name holds a NUL character")
    return key


def _bytes(part: Any) -> int:
    if isinstance(part, bytes):
        return len(part)
    return len(part.encode(errors="surrogatepass")) if isinstance(part, str) else 0


def _inside_id(name: str, names: tuple[str, ...]) -> str:
    """MongoDB refuses fields with a leading $ inside `_id` (manual, "The _id Field")."""
    if not name.startswith("$"):
        return name
    field = f"_{name}"
    while field in names:
        field = f"_{field}"
    return field


def image_of(table: Table, change: Change, target: Target, *, is_shallow: bool = False) -> Image | None:
    """Returns what a put writes: `_id`, the image's fields under the rules, the metadata.

    It is encoded here, so that a record that BSON cannot hold does not fail the bulk write of others; the
    driver copies the bytes as they are.

    Args:
        table: the rules.
        change: a put.
        target: the document.
        is_shallow: whether somebody has looked how deep the image is nested, and it is not too deep.

    Returns:
        None if the table's hook does not want the item replicated.

    Raises:
        PoisonError: ``bad-value``, ``bad-conversion``, ``bad-rename``, ``hook-failed``, ``not-bson`` (a name
            with NUL, an integer beyond int64, nested too deep) or ``too-large``.
    """
    version = change.version
    metadata: dict[str, Any] = {"v": version}
    image = change.image or {}
    fields = _fields_of(table, image, metadata, tagged=change.tagged, is_shallow=is_shallow)
    if table.hook is not None:
        hooked = _hooked(table, table.hook, fields, change)
        if hooked is None:
            return None
        fields = hooked
    merge = None
    if table.rule.mode is Mode.MERGE:
        merge = Merge(unset=[], names=list(fields))
        metadata["names"] = merge.names
    if table.may_deepen and is_deeper(fields, MAX_LEVELS):
        raise PoisonError("too-deep", "the document is nested too deep")
    document = {"_id": target.document_id, **fields, target.metadata_field: metadata}
    try:
        encoded = bson_encode(document)
    except NOT_BSON as error:
        # The driver's text can quote the document, which must not reach a log: only the error's kind does.
        raise PoisonError("not-bson", f"BSON cannot hold the item: {_why(error)}") from error
    if len(encoded) > MAX_DOCUMENT_BYTES:
        raise PoisonError("too-large", f"the document has {len(encoded)} bytes, more than MongoDB takes")
    return Image(encoded, version, merge, _shard_of(table, fields))


def _hooked(table: Table, hook: Hook, fields: Mapping[str, Any], change: Change) -> dict[str, Any] | None:
    """What a hook makes of the fields; None: the item is not replicated."""
    hooked = call(hook, dict(fields), change)
    if hooked is None:
        return None
    if table.rule.metadata_field in hooked:
        raise PoisonError("hook-failed", f"the hook returned a field {table.rule.metadata_field!r}: reserved")
    if not same_place(_shard_of(table, hooked), _shard_of(table, fields)):
        # Old values are without hooks: a deletion would look for the document in the wrong place.
        raise PoisonError("hook-failed", "the hook changed a field of the shard key")
    return hooked


def old_place(table: Table, change: Change) -> Shard | None:
    """Where the document was before a change, by its old values and its key; None if that is not known.

    Raises:
        PoisonError: as `image_of`.
    """
    if not table.rule.shard_key:
        return {}
    if change.old is None and change.op is Op.PUT:
        return None
    fields = _fields_of(table, {**change.key, **(change.old or {})}, {}, tagged=change.tagged)
    if change.old is None and not all(path.split(".")[0] in fields for path in table.rule.shard_key):
        return None
    return _shard_of(table, fields)


def _fields_of(
    table: Table,
    image: Mapping[str, Any],
    metadata: dict[str, Any],
    *,
    tagged: bool,
    is_shallow: bool = False,
) -> Mapping[str, Any]:
    """The fields of a document; notes in the metadata which attributes have other names."""
    found = table.fields.apply(decode_map(image, table.rule.numbers, tagged=tagged, is_shallow=is_shallow))
    if "_id" not in found and table.rule.metadata_field not in found:
        return found
    fields = dict(found)
    reserved = {"_id": table.rule.id_attribute, table.rule.metadata_field: None}
    for name in [name for name in reserved if name in fields]:
        free = reserved[name] or f"{name}_"
        while free in fields or free in reserved:
            free += "_"
        fields[free] = fields.pop(name)
        metadata.setdefault("renamed", {})[free] = name
    return fields


def same_place(one: Shard, other: Shard) -> bool:
    """Whether two places are the same to MongoDB, for which true is not 1."""
    return bson_encode(one) == bson_encode(other)


def _shard_of(table: Table, fields: Mapping[str, Any]) -> Shard:
    if not table.rule.shard_key:
        return {}
    shard = {path: _value_at(fields, path) for path in table.rule.shard_key}
    try:
        bson_encode(shard)
    except NOT_BSON as error:
        raise PoisonError("not-bson", f"BSON cannot hold the shard key: {_why(error)}") from error
    return shard


def _value_at(fields: Any, path: str) -> Any:
    """The value at a path; null where there is none, as in MongoDB."""
    value = fields
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _why(error: Exception) -> str:
    match error:
        case OverflowError():
            return "an integer is beyond int64"
        case InvalidDocument():
            return "an attribute name holds a NUL character, or a value is of no BSON type"
        case _:
            return f"text that is not Unicode, or a value of another kind ({type(error).__name__})"
