"""Hypothesis strategies and small builders for what DynamoDB can send: items, stream records, changes.

Source of what is legal: Amazon DynamoDB developer guide, "Supported data types and naming rules" and
"Constraints": 38 digits, magnitudes 1E-130 to 9.99E+125, 32 levels of nesting.
"""

from __future__ import annotations

import base64
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
json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.integers(-(10**30), 10**30),
        st.floats(),
        st.text(max_size=8),
    ),
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


def _set_of(kind: str, elements: st.SearchStrategy[Any], identity: Any) -> st.SearchStrategy[AttributeValue]:
    return st.lists(elements, max_size=5, unique_by=identity).map(lambda values: {kind: values})


_binary = st.binary(max_size=12)
_base64 = _binary.map(lambda octets: base64.b64encode(octets).decode())
_scalars: st.SearchStrategy[AttributeValue] = st.one_of(
    strings.map(lambda text: {"S": text}),
    number_texts().map(lambda text: {"N": text}),
    st.booleans().map(lambda truth: {"BOOL": truth}),
    st.just({"NULL": True}),
    _base64.map(lambda text: {"B": text}),
    _binary.map(lambda octets: {"B": octets}),
    _set_of("SS", strings, None),
    _set_of("NS", number_texts(), Decimal),
    _set_of("BS", _base64, None),
    _set_of("BS", _binary, None),
)
attribute_values: st.SearchStrategy[AttributeValue] = st.recursive(
    _scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda values: {"L": values}),
        st.dictionaries(names, inner, max_size=4).map(lambda values: {"M": values}),
        st.tuples(st.sampled_from(sorted(TAGS)), inner).map(lambda entry: {"M": dict([entry])}),
    ),
    max_leaves=12,
)
items: st.SearchStrategy[Item] = st.dictionaries(names, attribute_values, max_size=5)
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


@st.composite
def changes(draw: st.DrawFn, table: str = TABLE, stream: str = LABEL) -> Change:
    """Any change that the producer can make."""
    key, key_tagged = encode_item(draw(keys))
    old, old_tagged = None, False
    if draw(st.booleans()):
        old, old_tagged = encode_item(draw(items))
    image, image_tagged = None, False
    if op_is_put := draw(st.booleans()):
        image, image_tagged = encode_item(draw(items))
    return Change(
        table=table,
        stream=stream,
        sequence=str(draw(st.integers(0, 10**56 - 1))),
        op=Op.PUT if op_is_put else Op.DELETE,
        key=key,
        at=draw(st.integers(0, 10**14 - 1)),
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
        new: the new image.
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
        body["NewImage"] = key if new is None else new
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
