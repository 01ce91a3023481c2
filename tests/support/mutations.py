"""Valid stream records and envelopes, and what remains of them after a few changes at random places.

Everything is drawn from one `random.Random`: the same seed makes the same mutation.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from tests.support.strategies import BORDER_NUMBERS, nested, stream_record

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from tests.support.oracle import Item

TEXTS = (
    *(
        "",
        "a",
        "é",
        "\U0001f600",
        "a.b",
        "$a",
        "_id",
        "_ddb",
        "$n",
        "id",
        "1",
        "-1",
        "1E+5",
        "1.50",
        "9" * 40,
    ),
    *("\0", "a\0b", "AQ==", "QR==", "?", "\ufffe\uffff", "2099-01-01T00:00:00.000", "9999", "put", "INSERT"),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, [], {}, 0, -1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**30),
    *(0.5, -0.0, 1.0, 1e20, 5e-324, 1e308, [[]], {"id": 1}, {"": ""}),
    *({"$n": "1.5"}, {"$n": "1" * 30}, {"$n": "0." + "7" * 20}, {"$b": "AA=="}, {"$b": "AB=="}),
    *({"$ss": ["b", "a"]}, {"$ns": [1, {"$n": "1" * 30}]}, {"$ns": ["x"]}, {"$bs": ["AA=="]}),
    *(
        {"$m": {"$n": "x"}},
        {"$m": 1},
        {"$n": 1},
        {"S": "x"},
        {"N": "1.50"},
        {"B": "AQ=="},
        {"L": [{"S": "x"}]},
    ),
)
LEVELS = (1, 30, 98, 99, 100, 101, 127)

Tree = Any
Place = tuple[Any, Any]
"""A list or an object of a JSON value, and an index or a name in it."""


def key_and_item(random: Random, number: int) -> tuple[Item, Item]:
    """An item as in a Lambda event, whose key nobody else has."""
    key: Item = random.choice(
        [{"id": {"N": str(number)}}, {"id": {"S": f"k{number}"}}, {"a": {"N": str(number)}, "b": {"S": "x"}}]
    )
    names = random.sample(["text", "n", "a.b", "$c", "_id", "list", "map", "z"], random.randrange(5))
    return key, {name: _value(random, 3) for name in names} | key


def _value(random: Random, levels: int) -> dict[str, Any]:
    def octets() -> str:
        return base64.b64encode(random.randbytes(random.randrange(5))).decode()

    kinds: list[Callable[[], dict[str, Any]]] = [
        lambda: {"S": random.choice(TEXTS)},
        lambda: {"N": random.choice(BORDER_NUMBERS)},
        lambda: {"BOOL": random.random() < 0.5},
        lambda: {"NULL": True},
        lambda: {"B": octets()},
        lambda: {"SS": ["b", "a"]},
        lambda: {"NS": [str(random.randrange(100)), "1" * 38, "-0.5"]},
        lambda: {"BS": [octets()]},
        lambda: nested(random.randrange(1, 30), random.choice("LM")),
        lambda: {"L": [_value(random, levels - 1) for _ in range(random.randrange(3))]},
        lambda: {"M": {random.choice(NAMES): _value(random, levels - 1) for _ in range(random.randrange(3))}},
    ]
    return random.choice(kinds if levels else kinds[:4])()


NAMES = tuple(name for name in TEXTS if name and "\0" not in name)


def record(random: Random, number: int) -> dict[str, Any]:
    """A valid stream record."""
    key, image = key_and_item(random, number)
    name = random.choice(["INSERT", "MODIFY", "REMOVE"])
    old = None if name == "INSERT" else key_and_item(random, number)[1] | key
    return stream_record(name, 10**23 + number, key=key, new=image, old=old, eventID=f"{number:032x}")


def mutated(random: Random, value: Tree) -> Tree:
    """A copy with one to three changes, each at any place of it."""
    holder = [_copy(value)]
    for _ in range(random.randint(1, 3)):
        places = list(_places(holder))
        container, name = random.choice(places)
        match random.randrange(8):
            case 0 if container is not holder:
                del container[name]
            case 1:
                container[name] = _copy(random.choice(VALUES))
            case 2:
                other, where = random.choice(places)
                container[name] = _copy(other[where])
            case 3 if isinstance(container, dict):
                container[random.choice([*TEXTS, *container])] = container.pop(name)
            case 4:
                container[name] = _wrapped(random, container[name])
            case 5 if isinstance(container, list):
                container.insert(name, _copy(container[name]))
            case 6:
                container[name] = random.choice(TEXTS)
            case _:
                container[name] = _nudged(random, container[name])
    return holder[0]


def mutated_text(random: Random, text: str) -> str:
    """A text with one to three changes of its characters."""
    for _ in range(random.randint(1, 3)):
        start = random.randrange(len(text) + 1)
        end = min(len(text), start + random.choice([0, 1, 1, 2, 20]))
        new = random.choice(
            ["", "0", "1", "9" * 25, '"', "{", "}", "[", "]", ",", ":", "\\", "é", "1e5", " ", "-"]
        )
        text = text[:start] + random.choice([new, new, text[start:end] * 2]) + text[end:]
    return text


def _wrapped(random: Random, value: Any) -> Any:
    around: Callable[[Any], Any] = random.choice(
        [
            lambda inner: [inner],
            lambda inner: {"a": inner},
            lambda inner: {"$m": inner},
            lambda inner: {"L": [inner]},
            lambda inner: {"M": {"a": inner}},
        ]
    )
    for _ in range(random.choice(LEVELS)):
        value = around(value)
    return value


def _copy(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _nudged(random: Random, value: Any) -> Any:
    """Nearly the same value."""
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int | float):
        return random.choice(
            [value + 1, -value, value * 10**6, float(value), str(value), 1 / (abs(value) + 1)]
        )
    if isinstance(value, str):
        return random.choice([mutated_text(random, value), value + "0", value.upper(), [value]])
    return random.choice([list(value), json.dumps(value), dict.fromkeys(map(str, value), 1)])


def _places(container: Any) -> list[Place]:
    found: list[Place] = []
    pending = [container]
    while pending:
        part = pending.pop()
        entries = list(part.items() if isinstance(part, dict) else enumerate(part))
        found += [(part, name) for name, _ in entries]
        pending += [value for _, value in entries if isinstance(value, dict | list)]
    return found
