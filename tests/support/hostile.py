"""Messages that no producer of ours sends, by what is wrong with them. Each is at most 1 MiB."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from shared.envelope import MAX_CHANGES
from tests.support.strategies import LABEL, TABLE

if TYPE_CHECKING:
    from collections.abc import Callable

ENVELOPE: dict[str, Any] = {"v": 1, "table": TABLE, "stream": LABEL, "changes": []}
GOOD: dict[str, Any] = {
    "op": "put",
    "key": {"id": 1},
    "seq": "5",
    "at": 1588166542000,
    "eid": "e",
    "doc": {"id": 1},
}


def with_entries(*entries: str) -> str:
    """An envelope with these changes, each a JSON text."""
    return json.dumps(ENVELOPE).replace('"changes": []', f'"changes": [{",".join(entries)}]')


def nested(levels: int, number: int = 1) -> str:
    """A change whose image is nested that deep."""
    image = '{"id":' + str(number) + ',"a":' + "[" * levels + "]" * levels + "}"
    return json.dumps(GOOD | {"key": {"id": number}}).replace('{"id": 1}}', image + "}")


def _of_image(image: dict[str, Any], **members: Any) -> str:
    return with_entries(json.dumps(GOOD | {"doc": {"id": 1} | image, "tags": True} | members))


HOSTILE: dict[str, Callable[[], str]] = {
    "a number of a million digits": lambda: _of_image({"n": {"$n": "1" * 900_000}}),
    "a number with an exponent of nine digits": lambda: _of_image({"n": {"$n": "1E+999999999"}}),
    "a text of such a number": lambda: _of_image(
        {"n": "1E+999999999", "d": "1" * 100_000, "t": {"$n": "9" * 999}}
    ),
    "numbers inside of JSON": lambda: _of_image({"j": "[" + "9" * 900_000 + "]"}),
    "JSON inside of JSON, nested": lambda: _of_image({"j": "[" * 900_000}),
    "a sequence number of a million digits": lambda: _of_image({}, seq="1" * 900_000),
    "a sequence number of zeros": lambda: _of_image({}, seq="0" * 900_000),
    "a time beyond all times": lambda: _of_image({}, at=10**18),
    "a key of a megabyte": lambda: _of_image({}, key={"id": "k" * 900_000}),
    "a key of many attributes": lambda: _of_image({}, key={str(name): 0 for name in range(80_000)}),
    "names that are ours": lambda: _of_image({"_ddb" + "_" * count: 0 for count in range(1_300)}),
    "a table of a megabyte, and many entries": lambda: json.dumps(
        ENVELOPE | {"table": "t" * 900_000, "changes": [0] * MAX_CHANGES}
    ),
    "many entries that are none": lambda: with_entries(*["0"] * MAX_CHANGES),
    "an image of empty maps": lambda: _of_image({"a": [{}] * 200_000}),
    "an image of numbers": lambda: _of_image({"a": [0] * 300_000}),
    "an image of maps": lambda: _of_image({"a": [{"a": 1}] * 90_000}),
    "nested a hundred levels": lambda: with_entries(*(nested(150, number) for number in range(2, 50))),
    "nested hundreds of levels": lambda: with_entries(*(nested(300, number) for number in range(2, 300))),
    "nested a thousand levels": lambda: with_entries(*(nested(990, number) for number in range(2, 30))),
    "nested beyond all levels": lambda: with_entries(nested(400_000)),
    "names with NUL": lambda: _of_image({"a\0b": 1, "m": {"\0": 1}}),
    "one member twice": lambda: with_entries('{"op":"del",' + json.dumps(GOOD)[1:]),
}
"""By its name, what makes the body."""
