"""Hypothesis strategies and small builders for what DynamoDB can send: items, stream records, changes.

A draw takes milliseconds: what is large or deep is an example with a name, in `worst_items`, in `hostile`, or
beside the test. So no machine is too slow for Hypothesis' health checks, and none of them is switched off.

Source of what is legal: Amazon DynamoDB developer guide, "Supported data types and naming rules" and
"Constraints": 38 digits, magnitudes 1E-130 to 9.99E+125, 32 levels of nesting.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from shared.attribute_values import TAGS, encode_item
from shared.change import Change, Op

TABLE, LABEL = "mytable", "2020-04-30T17:47:21.395"
MOST_DIGITS, LOWEST, HIGHEST = 38, -130, 125
DEEPEST = 32

AttributeValue = dict[str, Any]
Item = dict[str, AttributeValue]

_NASTY = (
    '\x00\x01\t\n\x1f\x7f\x85\u2028\ud7ff\ue000\ufdd0\ufffd\ufffe\uffff\U0001f600\U0001fffe\U0010ffff.$"\\/ é'
)
_characters = st.one_of(st.sampled_from(_NASTY), st.characters(exclude_categories=["Cs"]))
strings = st.text(_characters, max_size=12)
json_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.text(max_size=8),
)
json_values = st.recursive(
    json_scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)
names = st.one_of(st.sampled_from([*sorted(TAGS), "a", "a.b", "$set", "_id", ""]), strings)


def shifted(digits: str, exponent: int) -> str:
    """Plain notation, without an exponent, of ``digits * 10^exponent``."""
    if exponent >= 0:
        return digits + "0" * exponent
    padded = digits.rjust(1 - exponent, "0")
    return f"{padded[:exponent]}.{padded[exponent:]}"


@st.composite
def number_texts(draw: st.DrawFn) -> str:
    """Every number that DynamoDB holds, in many notations: 1.50, 15E-1, 0.15e+1, 007, -0."""
    digits = draw(st.one_of(st.integers(0, 9999), st.integers(0, 10**MOST_DIGITS - 1)).map(str))
    adjusted = draw(st.one_of(st.integers(-3, 20), st.integers(LOWEST, HIGHEST)))
    exponent = adjusted - (len(digits) - 1)
    sign = draw(st.sampled_from(["", "-"]))
    notation = draw(st.sampled_from(["plain", "scientific", "raw"]))
    if notation == "plain":
        text = shifted(digits, exponent)
        text = "0" * draw(st.integers(0, 2)) + text
        return sign + text + ("0" * draw(st.integers(0, 3)) if "." in text else "")
    if notation == "scientific":
        return f"{sign}{digits[0]}.{digits[1:]}{draw(st.sampled_from('eE'))}{adjusted:+d}"
    return f"{sign}{digits}E{exponent}"


BORDER_NUMBERS = (
    *("0", "-0", "0.0", "-1", "007", "1.50", "1.5", "1E2", "100.00", "0.1", "-12.75", "1e0", ".5", "5."),
    # int32, the integers of a double, int64
    *("2147483647", "2147483648", "-2147483648", "-2147483649"),
    *("9007199254740991", "9007199254740992", "9007199254740993", "-9007199254740993"),
    *("9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809"),
    "9223372036854775807.5",
    # halves, thirds and what lies beside them: doubles that are exact, and such that are not
    *("0.5", "4503599627370496.5", "9007199254740992.5", "0.30000000000000004", "0.3000000000000000444"),
    *("0.12345678901234567", "0.1000000000000000055511151231257827021181583404541015625"[:40], "1E+23"),
    # the smallest and the largest
    *("1E-130", "-1E-130", "9.99E+125", "-9.99E+125", "1E+125", "9" * 38 + "0" * 88),
    "0." + "0" * 92 + "1" * 38,
    # 34 digits fit Decimal128, 35 do not; 38 are the most
    *("1" * 34, "1" * 35, "1" * 38, "-" + "9" * 38, "1" * 34 + "0" * 4, "1" * 34 + "0" * 80),
    *("0." + "7" * 34, "0." + "7" * 35, "0." + "7" * 38, "-1." + "3" * 33, "-1." + "3" * 34, "1." + "3" * 37),
    *("1." + "0" * 33 + "1", "1." + "0" * 36 + "1", "1" * 35 + "E-60", "1" * 35 + "E+60"),
)
"""Where one BSON type ends and another begins, and notations that are the same number."""

numbers = st.one_of(number_texts(), st.sampled_from(BORDER_NUMBERS))


def _set_of(kind: str, elements: st.SearchStrategy[Any], identity: Any) -> st.SearchStrategy[AttributeValue]:
    return st.lists(elements, max_size=3, unique_by=identity).map(lambda values: {kind: values})


def _values(
    names: st.SearchStrategy[str], *binaries: st.SearchStrategy[str | bytes]
) -> st.SearchStrategy[AttributeValue]:
    """Any AttributeValue; its binary values are bytes in the SDK, and base64 text in a Lambda event."""
    scalars: st.SearchStrategy[AttributeValue] = st.one_of(
        strings.map(lambda text: {"S": text}),
        numbers.map(lambda text: {"N": text}),
        st.booleans().map(lambda truth: {"BOOL": truth}),
        st.just({"NULL": True}),
        *(octets.map(lambda content: {"B": content}) for octets in binaries),
        _set_of("SS", strings, None),
        _set_of("NS", numbers, Decimal),
        *(_set_of("BS", octets, None) for octets in binaries),
    )
    return st.recursive(
        scalars,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3).map(lambda values: {"L": values}),
            st.dictionaries(names, inner, max_size=3).map(lambda values: {"M": values}),
            st.tuples(st.sampled_from(sorted(TAGS)), inner).map(lambda entry: {"M": dict([entry])}),
        ),
        max_leaves=8,
    )


_binary = st.binary(max_size=12)
_base64 = _binary.map(lambda octets: base64.b64encode(octets).decode())
attribute_values = _values(names, _base64, _binary)
items: st.SearchStrategy[Item] = st.dictionaries(names, attribute_values, max_size=4)
keys: st.SearchStrategy[Item] = st.dictionaries(
    names.filter(bool),
    st.one_of(
        strings.map(lambda text: {"S": text}),
        number_texts().map(lambda text: {"N": text}),
        _base64.map(lambda text: {"B": text}),
    ),
    min_size=1,
    max_size=2,
)


def nested(levels: int, kind: str = "L") -> AttributeValue:
    """A value inside that many lists or maps."""
    value: AttributeValue = {"S": "deep"}
    for _ in range(levels):
        value = {"L": [value]} if kind == "L" else {"M": {"n": value}}
    return value


OUR_NAMES = ("_id", "_ddb")
"""Fields that the replicator needs itself."""

storable_names = names.filter(lambda name: "\0" not in name)  # BSON has no name with a NUL
_storable_values = st.one_of(
    _values(storable_names, _binary), st.builds(nested, st.integers(1, DEEPEST), st.sampled_from("LM"))
)
_top_names = st.one_of(
    st.sampled_from([f"{name}{more}" for name in OUR_NAMES for more in ("", "_", "__", ".v")]),
    storable_names.filter(bool),
)
storable_items: st.SearchStrategy[Item] = st.dictionaries(_top_names, _storable_values, max_size=4)
"""Items that have a document; in the SDK's form."""


@dataclass(frozen=True)
class Contents:
    """What was in a table at two moments.

    Attributes:
        key: the names of its key attributes.
        before: items with different keys.
        after: the same items, with other attributes.
    """

    key: tuple[str, ...]
    before: list[Item]
    after: list[Item]


@st.composite
def contents(draw: st.DrawFn, most: int = 3) -> Contents:
    """Any table: a key of one or two attributes of any types and names, and a few items."""
    some_names = st.sampled_from(["id", "sk", "$k", "_$k", "$", "a.b", "_id", "_ddb", "ключ"])
    key = tuple(draw(st.lists(some_names, min_size=1, max_size=2, unique=True)))
    of_type: dict[str, st.SearchStrategy[Any]] = {
        "S": strings.filter(bool),
        "N": numbers,
        "B": _binary.filter(bool),
    }
    types = [draw(st.sampled_from(sorted(of_type))) for _ in key]
    values = st.tuples(*(of_type[kind] for kind in types))
    found = draw(
        st.lists(
            st.tuples(values, storable_items, storable_items),
            min_size=1,
            max_size=most,
            unique_by=lambda entry: _identity(types, entry[0]),
        )
    )
    rows = [(_as_key(key, types, key_values), before, after) for key_values, before, after in found]
    return Contents(
        key, [before | part for part, before, _ in rows], [after | part for part, _, after in rows]
    )


def _identity(types: list[str], values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Equal for equal keys: 1.50 is 1.5."""
    return tuple(Decimal(value) if kind == "N" else value for kind, value in zip(types, values, strict=True))


def _as_key(names: tuple[str, ...], types: list[str], values: tuple[Any, ...]) -> Item:
    return {name: {kind: value} for name, kind, value in zip(names, types, values, strict=True)}


@st.composite
def changes(draw: st.DrawFn, table: str = TABLE, stream: str = LABEL) -> Change:
    """Any change that the producer can make."""
    key_item = draw(keys)
    key, key_tagged = encode_item(key_item)
    old, old_tagged = None, False
    if draw(st.booleans()):
        old, old_tagged = encode_item(draw(items))
    image, image_tagged = None, False
    if op_is_put := draw(st.booleans()):
        image, image_tagged = encode_item(draw(items) | key_item)
    return Change(
        table=table,
        stream=stream,
        sequence=str(draw(st.integers(0, 10**56 - 1))),
        op=Op.PUT if op_is_put else Op.DELETE,
        key=key,
        at=draw(st.one_of(st.integers(0, 10**14 - 1), st.none())),
        event_id=draw(strings),
        image=image,
        ttl=not op_is_put and draw(st.booleans()),
        gone=draw(st.frozensets(names, max_size=3)) if op_is_put else frozenset(),
        old=old,
        tagged=key_tagged or old_tagged or image_tagged,
    )


def arn(table: str = TABLE, label: str = LABEL) -> str:
    """The ARN of a table's stream."""
    return f"arn:aws:dynamodb:us-east-1:123456789012:table/{table}/stream/{label}"


def stream_record(
    name: str = "MODIFY",
    sequence: int | str = 1,
    *,
    key: Item | None = None,
    new: Item | None = None,
    old: Item | None = None,
    **other: Any,
) -> dict[str, Any]:
    """One record as Lambda gets it; without `new`, an INSERT or MODIFY has the key as its image.

    Args:
        name: INSERT, MODIFY or REMOVE.
        sequence: the sequence number.
        key: the item's key.
        new: the new image; the key is added where it is missing.
        old: the old image.
        other: further members of the record itself, such as ``userIdentity`` or ``eventSourceARN``.
    """
    key = {"id": {"N": "3"}} if key is None else key
    body: dict[str, Any] = {
        "ApproximateCreationDateTime": 1588166542,
        "Keys": key,
        "SequenceNumber": str(sequence),
        "SizeBytes": 26,
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    }
    if name != "REMOVE":
        body["NewImage"] = key | (new or {})
    if old is not None:
        body["OldImage"] = old
    return {
        "eventID": f"event-{sequence}",
        "eventName": name,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "dynamodb": body,
        "eventSourceARN": arn(),
        **other,
    }
