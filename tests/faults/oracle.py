"""What MongoDB has to hold: worked out from the table by docs/types.md, with none of the code under test."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any

from bson.decimal128 import Decimal128

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping

    from tests.faults.source import Item, Table

METADATA_FIELD = "_ddb"
_DECIMAL128_DIGITS = 34
_EXACT = Context(prec=60)  # DynamoDB has 38 digits, Python's own context 28


@dataclass(frozen=True)
class Comparison:
    """A table and its collection, completely compared.

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


def compare(table: Table, items: Iterable[Item], documents: Iterable[Mapping[str, Any]]) -> Comparison:
    """Compares everything; types, too: 1 and 1.0 differ."""
    expected = {}
    for item in items:
        document = document_of(table, item)
        expected[frozen(document["_id"])] = document
    equal, different, extra = 0, [], []
    for found in documents:
        identity = frozen(found["_id"])
        if identity not in expected:
            extra.append(_short(found))
            continue
        wanted = expected.pop(identity)
        without = {name: value for name, value in found.items() if name != METADATA_FIELD}
        if frozen(without) == frozen(wanted) and METADATA_FIELD in found:
            equal += 1
        else:
            different.append(f"{_short(found)} instead of {_short(wanted)}")
    return Comparison(equal, [_short(document) for document in expected.values()], different, extra)


def document_of(table: Table, item: Item) -> dict[str, Any]:
    """The document of an item, without metadata."""
    values = {name: _value(value) for name, value in item.items()}
    parts = {name: values[name] for name in table.key}
    document_id = parts if len(parts) > 1 else values[table.key[0]]
    for name in ("_id", METADATA_FIELD):  # names that we need ourselves
        if name in values:
            values[f"{name}_"] = values.pop(name)
    return {"_id": document_id, **values}


def frozen(value: Any) -> Hashable:
    """Equal for what is equal in BSON, value and type; the order of the fields of a document left aside."""
    match value:
        case dict():
            return ("document", frozenset((name, frozen(part)) for name, part in value.items()))
        case list():
            return ("array", tuple(frozen(part) for part in value))
        case bool() | None | str() | bytes():
            return (type(value).__name__, value)
        case int():
            return ("integer", int(value))
        case float():
            return ("double", value)
        case Decimal128():
            return ("decimal", value.to_decimal().normalize(_EXACT))
        case _:
            raise TypeError(f"no value of DynamoDB becomes a {type(value).__name__}")


def _value(attribute_value: dict[str, Any]) -> Any:
    ((kind, content),) = attribute_value.items()
    match kind:
        case "S" | "BOOL" | "B":
            return content
        case "NULL":
            return None
        case "N":
            return _number(content)
        case "L":
            return [_value(element) for element in content]
        case "M":
            return {name: _value(element) for name, element in content.items()}
        case "SS" | "BS":
            return sorted(content)
        case "NS":
            return [_number(element) for element in sorted(content, key=Decimal)]
        case _:
            raise TypeError(f"DynamoDB has no type {kind}")


def _number(text: str) -> Any:
    number = Decimal(text)
    if number == number.to_integral_value() and -(2**63) <= number < 2**63:
        return int(number)
    if Decimal(repr(float(number))) == number:
        return float(number)
    shortest = number.normalize(_EXACT)
    return Decimal128(shortest) if len(shortest.as_tuple().digits) <= _DECIMAL128_DIGITS else str(shortest)


def _short(document: Mapping[str, Any]) -> str:
    text = repr(dict(document))
    return text if len(text) < 300 else f"{text[:300]}…"
