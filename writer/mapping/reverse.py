"""A replicated document → the item that it stands for. Pure: `bson` here is a codec, not a client.

Undoes `writer.mapping.bson_values` and `writer.mapping.document`, to compare both sides or to go back to
DynamoDB. It needs nothing but the document. What BSON does not distinguish cannot come back:

- a set is an array in MongoDB, so it comes back as a list (L), sorted;
- a number of 35 to 38 digits that no other BSON type holds is a string, so it comes back as one (S);
- under the policy `double` a number comes back as the nearest double; 1E+126, beyond DynamoDB's largest
  number, is refused.

Numbers come back in one notation: `1.50` and `15E-1` as `1.5`. Everything else is as it was. What the mapping
changed (defaults, conversions) is not undone: a default comes back as an attribute, a date is refused.

PyMongo reads a map with both `$ref` and `$id` as a `DBRef`, for which `$db: null` and no `$db` are the same;
with `document_class=RawBSONDocument` it reads all maps as they are.
"""

from collections.abc import Mapping
from decimal import Context, Decimal
from typing import Any

from bson.binary import BINARY_SUBTYPE, Binary
from bson.code import Code
from bson.dbref import DBRef
from bson.decimal128 import Decimal128

from shared.attribute_values import encode_number
from shared.errors import PoisonError
from writer.names import METADATA_FIELD

AttributeValue = dict[str, Any]
"""A value with its DynamoDB type, as in the AWS SDK: `{"N": "1.5"}`, `{"B": b"bytes"}`."""

_EXACT = Context(prec=40)  # a Decimal128 has 34 digits, Python's own context 28
_OTHER_TYPES = {
    "Code": "javascript",
    "DatetimeMS": "date",
    "MaxKey": "maxKey",
    "MinKey": "minKey",
    "ObjectId": "objectId",
    "Pattern": "regex",
    "Regex": "regex",
    "Timestamp": "timestamp",
    "UUID": "binary of subtype 4",
    "datetime": "date",
}


def item_of(document: Mapping[str, Any], metadata_field: str = METADATA_FIELD) -> dict[str, AttributeValue]:
    """Returns the item of a document: its fields without `_id` and metadata, under the attributes' names.

    Args:
        document: as PyMongo reads it, of any document class.
        metadata_field: the field that holds the version and the renamed attributes; without it in the
            document, nothing was renamed.

    Raises:
        ValueError: a value has a BSON type that no attribute becomes, or is a number that DynamoDB cannot
            hold; the text names the field and the type, never the value.
    """
    renamed = _renamed(document.get(metadata_field))
    return {
        renamed.get(name, name): _attribute_value(value, name)
        for name, value in document.items()
        if name not in ("_id", metadata_field)
    }


def _renamed(metadata: Any) -> Mapping[str, str]:
    renamed = metadata.get("renamed") if isinstance(metadata, Mapping) else None
    return renamed if isinstance(renamed, Mapping) else {}


def _attribute_value(value: Any, path: str) -> AttributeValue:
    match value:
        case list():
            return {"L": [_attribute_value(element, f"{path}[{n}]") for n, element in enumerate(value)]}
        case Mapping():
            return {"M": {name: _attribute_value(part, f"{path}.{name}") for name, part in value.items()}}
        case DBRef():
            return _attribute_value(value.as_doc(), path)
        case _:
            return _scalar(value, path)


def _scalar(value: Any, path: str) -> AttributeValue:
    match value:
        case str() if not isinstance(value, Code):
            return {"S": value}
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": str(int(value))}
        case float():
            return {"N": _number_text(Decimal(repr(value)), "double", path)}
        case Decimal128():
            return {"N": _number_text(value.to_decimal(), "decimal", path)}
        case bytes() if not isinstance(value, Binary) or value.subtype == BINARY_SUBTYPE:
            return {"B": bytes(value)}
        case _:
            raise _unknown(path, _type_name(value))


def _number_text(number: Decimal, kind: str, path: str) -> str:
    """Plain digits, without an exponent or needless zeros."""
    if not number.is_finite():
        raise _unknown(path, f"{kind} that is not finite")
    text = f"{number.normalize(_EXACT):f}" if number else "0"
    try:
        encode_number(text)
    except PoisonError as error:
        raise ValueError(f"field {path}: a {kind} is outside the range of a DynamoDB number") from error
    return text


def _type_name(value: Any) -> str:
    if isinstance(value, Binary):
        return f"binary of subtype {value.subtype}"
    kind = type(value).__name__
    return _OTHER_TYPES.get(kind, kind)


def _unknown(path: str, kind: str) -> ValueError:
    return ValueError(f"field {path}: no attribute of DynamoDB becomes a BSON value of type {kind}")
