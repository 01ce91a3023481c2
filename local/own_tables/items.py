"""Items of a person's own tables: read from text, or made up by a table's mapping. Pure.

Text is what DynamoDB's export and the AWS command line write (an item as AttributeValues, alone or below
`Item` or `Items`), or plain JSON: one object a line, one for the whole text, or a list.
"""

import json
import re
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

Item = dict[str, Any]
"""An item as boto3 takes it: AttributeValues, binary ones as bytes."""

SAMPLES: Final = 3
"""How many items are made up for a table."""

_TEXTS = ("S", "N", "B")
_SETS = ("SS", "NS", "BS")
_START: Final = 1588166528  # as in the example of the README


class ItemError(Exception):
    """The text holds no items. The message says where and why."""


def read_items(text: str) -> list[Item]:
    """The items of a file.

    Raises:
        ItemError: It is neither of the forms above.
    """
    try:
        whole = _parsed(text)
    except ValueError:
        return [item for number, line in enumerate(text.splitlines(), 1) for item in _of_line(number, line)]
    return list(_items(whole, "the file"))


def _of_line(number: int, line: str) -> Iterator[Item]:
    if not line.strip():
        return
    try:
        content = _parsed(line)
    except ValueError as error:
        raise ItemError(f"line {number} is not JSON: {error}") from error
    yield from _items(content, f"line {number}")


def _parsed(text: str) -> Any:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not a number of JSON")

    return json.loads(text, parse_int=Decimal, parse_float=Decimal, parse_constant=refuse)


def _items(content: Any, where: str) -> Iterator[Item]:
    if isinstance(content, list):
        for number, each in enumerate(content, 1):
            yield from _items(each, f"{where}, element {number}")
    elif not isinstance(content, dict):
        raise ItemError(f'{where} is not an object, such as {{"id": 1}}')
    elif isinstance(content.get("Items"), list):
        yield from _items(content["Items"], where)
    elif isinstance(item := content.get("Item"), dict) and not _is_value(item):
        yield from _items(item, where)
    elif content and all(map(_is_value, content.values())):
        yield {name: _with_bytes(value) for name, value in content.items()}
    else:
        yield {name: _value_of(value) for name, value in content.items()}


def _is_value(content: Any) -> bool:
    """Whether this is an AttributeValue."""
    if not isinstance(content, dict) or len(content) != 1:
        return False
    ((kind, value),) = content.items()
    return (
        (kind in _TEXTS and isinstance(value, str))
        or (kind in _SETS and isinstance(value, list) and all(isinstance(each, str) for each in value))
        or (kind == "BOOL" and isinstance(value, bool))
        or (kind == "NULL" and value is True)
        or (kind == "L" and isinstance(value, list) and all(map(_is_value, value)))
        or (kind == "M" and isinstance(value, dict) and all(map(_is_value, value.values())))
    )


def _with_bytes(value: dict[str, Any]) -> dict[str, Any]:
    ((kind, content),) = value.items()
    if kind == "B":
        return {kind: b64decode(content)}
    if kind == "BS":
        return {kind: [b64decode(each) for each in content]}
    if kind == "L":
        return {kind: [_with_bytes(each) for each in content]}
    if kind == "M":
        return {kind: {name: _with_bytes(each) for name, each in content.items()}}
    return value


def _value_of(value: Any) -> dict[str, Any]:
    """A value of plain JSON as an AttributeValue."""
    if value is None:
        return {"NULL": True}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, Decimal):
        return {"N": str(value)}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, list):
        return {"L": [_value_of(each) for each in value]}
    return {"M": {name: _value_of(each) for name, each in value.items()}}


def key_types(key: Sequence[str], items: Sequence[Item]) -> dict[str, str]:
    """The types (S, N or B) of a table's key attributes, as its items have them; S if there are none.

    Raises:
        ItemError: An item lacks one of them, or has another type than the one before, or one that no key has.
    """
    types: dict[str, str] = {}
    for number, item in enumerate(items, 1):
        for name in key:
            if name not in item:
                raise ItemError(f"item {number} has no attribute {name!r}, which is of the table's key")
            (kind,) = item[name]
            if kind not in _TEXTS:
                raise ItemError(
                    f"item {number}: the key attribute {name!r} is of type {kind}, which a key cannot have"
                )
            if types.setdefault(name, kind) != kind:
                raise ItemError(
                    f"item {number}: the key attribute {name!r} is of type {kind}, but was of type "
                    f"{types[name]} before"
                )
    return {name: types.get(name, "S") for name in key}


def distinct(key: Sequence[str], items: Sequence[Item]) -> list[Item]:
    """The last item of each key."""
    return list({tuple(str(item[name]) for name in key): item for item in items}.values())


def sample_items(key: Sequence[str], settings: Mapping[str, Any]) -> list[Item]:
    """Items that a mapping's rules do something with.

    Args:
        key: Names of the key attributes, which become texts.
        settings: The table's settings, as `replicator check-config --json` has them. A field with a
            default is missing in the last item.
    """
    fields = settings["fields"]
    paths = {path: {} for path in settings["include"]} | fields | {path: {} for path in settings["exclude"]}
    items: list[Item] = []
    for number in range(1, SAMPLES + 1):
        item: Item = {}
        for path, rule in paths.items():
            if number < SAMPLES or "default" not in rule:
                _place(item, split(path), _sample(split(path)[-1], rule.get("convert"), number))
        if ttl := settings["ttl_attribute"]:
            item[ttl] = {"N": str(_START + 86_400 * 36_500)}
        if not paths:
            item |= {"name": {"S": f"name {number}"}, "count": {"N": str(number)}}
        for name in key:
            if fields.get(name, {}).get("convert") is None:
                item[name] = {"S": f"{name}-{number}"}
            else:
                item[name] = _sample(name, fields[name]["convert"], number)
        items.append(item)
    return items


def split(path: str) -> list[str]:
    """The names of a field's path: dots join them, a backslash stands before what belongs to a name."""
    return [re.sub(r"\\(.)", r"\1", part) for part in re.findall(r"(?:\\.|[^.\\])+", path)]


def _place(item: Item, names: Sequence[str], value: Mapping[str, Any]) -> None:
    *parents, last = names
    for name in parents:
        inner = item.setdefault(name, {"M": {}})
        if "M" not in inner:  # a rule for a field, and another one for what is below it
            inner = item[name] = {"M": {}}
        item = inner["M"]
    item.setdefault(last, value)


def _sample(name: str, conversion: str | None, number: int) -> dict[str, Any]:
    seconds = _START + 3600 * number
    made = {
        "epoch_seconds": {"N": str(seconds)},
        "epoch_millis": {"N": str(seconds * 1000)},
        "iso8601": {"S": f"2020-04-29T1{number}:22:08Z"},
        "decimal": {"N": f"{number}.50"},
        "string": {"N": str(number)},
        "int": {"S": str(number)},
        "double": {"N": f"{number}.5"},
        "json": {"S": json.dumps({"number": number})},
    }
    return made.get(conversion or "", {"S": f"{name} {number}"})
