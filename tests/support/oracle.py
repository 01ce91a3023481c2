"""What MongoDB has to hold: worked out from the items by docs/types.md, with none of the code under test.

Sources: Amazon DynamoDB developer guide, "Low-level API" (the type descriptors) and "Supported data types and
naming rules"; MongoDB manual, "BSON types". Items are in the SDK's form: bytes for B, text for N.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any

from bson.decimal128 import Decimal128
from bson.int64 import Int64

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

Item = dict[str, dict[str, Any]]

METADATA_FIELD = "_ddb"
_DECIMAL128_DIGITS = 34
_EXACT = Context(prec=60)  # DynamoDB has 38 digits, Python's own context 28


@dataclass(frozen=True)
class Comparison:
    """Items and documents, completely compared.

    Attributes:
        equal: how many documents are as they should be.
        missing: items without a document.
        different: documents that are not their items.
        extra: documents without an item.
    """

    equal: int
    missing: list[str]
    different: list[str]
    extra: list[str]

    @property
    def is_same(self) -> bool:
        """Whether both sides hold the same."""
        return not (self.missing or self.different or self.extra)

    def __str__(self) -> str:
        parts = []
        for name in ("missing", "different", "extra"):
            found = getattr(self, name)
            parts.append(f"{len(found)} {name}{': ' if found else ''}{'; '.join(found[:3])}")
        return f"{self.equal} equal, {', '.join(parts)}"


def compare(
    items: Iterable[Item],
    documents: Iterable[Mapping[str, Any]],
    key: Sequence[str],
    numbers: str = "native",
) -> Comparison:
    """Compares everything; types, too: 1 and 1.0 differ, and 1 as int32 and as int64.

    Args:
        items: with different keys.
        documents: as PyMongo reads them.
        key: the names of the key attributes, in their order inside `_id`.
        numbers: the table's policy.
    """
    expected = {}
    for item in items:
        wanted = document_of(item, key, numbers)
        expected[_identity(wanted["_id"])] = (wanted, renamed_of(item))
    equal, different, extra = 0, [], []
    for found in documents:
        identity = _identity(found["_id"])
        if identity not in expected:
            extra.append(_short(found))
            continue
        wanted, renamed = expected.pop(identity)
        without = {name: value for name, value in found.items() if name != METADATA_FIELD}
        metadata = found.get(METADATA_FIELD, {})
        is_right = frozen(without) == frozen(wanted) and dict(metadata.get("renamed", {})) == renamed
        if is_right and isinstance(metadata.get("v"), str):
            equal += 1
        else:
            different.append(f"{_short(found)} instead of {_short(wanted)}, renamed {renamed}")
    missing = [_short(wanted) for wanted, _ in expected.values()]
    return Comparison(equal, missing, different, extra)


def document_of(item: Item, key: Sequence[str], numbers: str = "native") -> dict[str, Any]:
    """The document of an item, without metadata."""
    # Different keys stay different under the lossy policy, too.
    exact = "native" if numbers == "double" else numbers
    values = {inside_id(name, key): bson_of(item[name], exact) for name in key}
    document_id = values if len(key) > 1 else values[inside_id(key[0], key)]
    names = {original: name for name, original in renamed_of(item).items()}
    fields = {names.get(name, name): bson_of(value, numbers) for name, value in item.items()}
    return {"_id": document_id, **fields}


def renamed_of(item: Item) -> dict[str, str]:
    """The field of each attribute whose name is one of ours → the attribute's name."""
    renamed: dict[str, str] = {}
    for name in ("_id", METADATA_FIELD):
        if name in item:
            free = f"{name}_"
            while free in item:
                free += "_"
            renamed[free] = name
    return renamed


def bson_of(attribute_value: dict[str, Any], numbers: str = "native") -> Any:
    """The BSON value of an AttributeValue, as PyMongo reads it."""
    ((kind, content),) = attribute_value.items()
    match kind:
        case "S" | "BOOL" | "B":
            return content
        case "NULL":
            return None
        case "N":
            return _number(content, numbers)
        case "L":
            return [bson_of(element, numbers) for element in content]
        case "M":
            return {name: bson_of(element, numbers) for name, element in content.items()}
        case "SS" | "BS":
            return sorted(content)
        case "NS":
            return [_number(element, numbers) for element in sorted(content, key=Decimal)]
        case _:
            raise TypeError(f"DynamoDB has no type {kind}")


def frozen(value: Any) -> Hashable:
    """Equal for what is equal in BSON, value and type; the order of the fields of a document left aside."""
    match value:
        case str() | bool() | None:
            return (type(value).__name__, value)
        case bytes():  # as PyMongo reads subtype 0; others come as a class of their own
            return (type(value).__name__, value)
        case Mapping():
            return ("document", tuple((name, frozen(value[name])) for name in sorted(value)))
        case list():
            return ("array", tuple(frozen(part) for part in value))
        case Int64():
            return ("int64", int(value))
        case int():
            return ("int32", value)
        case float():
            return ("double", value)
        case Decimal128():  # 1.5 and 1.50 are told apart
            return ("decimal", value.bid)
        case _:
            raise TypeError(f"no value of DynamoDB becomes a {type(value).__name__}")


def _identity(document_id: Any) -> Hashable:
    """Equal for the same `_id`; in a document of several fields MongoDB regards their order."""
    if isinstance(document_id, Mapping):
        return tuple((name, frozen(part)) for name, part in document_id.items())
    return frozen(document_id)


def inside_id(name: str, key: Sequence[str]) -> str:
    """MongoDB refuses a leading $ inside `_id`."""
    if len(key) > 1 and name.startswith("$"):
        name = f"_{name}"
        while name in key:
            name = f"_{name}"
    return name


def _number(text: str, numbers: str) -> Any:
    number = Decimal(text)
    if number == number.to_integral_value() and -(2**63) <= number < 2**63:
        return int(number) if -(2**31) <= number < 2**31 else Int64(int(number))
    nearest = float(number)
    if numbers == "double" or (numbers == "native" and Decimal(repr(nearest)) == number):
        return nearest
    shortest = number.normalize(_EXACT)
    return Decimal128(shortest) if len(shortest.as_tuple().digits) <= _DECIMAL128_DIGITS else str(shortest)


def _short(document: Mapping[str, Any]) -> str:
    text = repr(dict(document))
    return text if len(text) < 300 else f"{text[:300]}…"
