"""Item files: what the AWS command line prints, and what is said about anything else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ops.config.sample import ItemError, read_items

ONE: dict[str, Any] = {"id": {"N": "1"}}
TWO: dict[str, Any] = {"id": {"N": "2"}, "m": {"M": {"x": {"S": "y"}}}}


@pytest.mark.parametrize(
    ("content", "items"),
    [
        (ONE, [ONE]),
        ({"Item": ONE}, [ONE]),
        ({"Item": ONE, "ConsumedCapacity": {"TableName": "t", "CapacityUnits": 0.5}}, [ONE]),
        ({"Items": [ONE, TWO], "Count": 2, "ScannedCount": 2, "ConsumedCapacity": None}, [ONE, TWO]),
        ([ONE, TWO], [ONE, TWO]),
        ([{"Item": ONE}, {"Items": [TWO]}], [ONE, TWO]),
        ({"Item": {}}, [{}]),
        # items with an attribute that is called like the frame, or like a type
        ({"Item": {"S": "x"}}, [{"Item": {"S": "x"}}]),
        ({"Item": {"M": {"a": {"S": "x"}}}}, [{"Item": {"M": {"a": {"S": "x"}}}}]),
        ({"Item": {"L": [ONE]}, "id": {"N": "1"}}, [{"Item": {"L": [ONE]}, "id": {"N": "1"}}]),
        ({"Items": {"S": "x"}}, [{"Items": {"S": "x"}}]),
        ({"Item": {"S": {"S": "x"}}}, [{"S": {"S": "x"}}]),
        ({"Item": {"M": {"S": "x"}, "id": {"N": "1"}}}, [{"M": {"S": "x"}, "id": {"N": "1"}}]),
    ],
    ids=repr,
)
def test_what_holds_items(content: Any, items: list[Any]) -> None:
    """get-item, query and scan, an item alone, lists of them."""
    assert read_items(json.dumps(content)) == items


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "get-item"),
        (" \n", "get-item"),
        ("{", "not JSON"),
        ("id: 1", "not JSON"),
        ("[]", "no item"),
        ('{"Items": []}', "no item"),
        ("3", "an item is expected"),
        ('["id"]', "an item is expected"),
        ('{"Items": [null]}', "an item is expected"),
    ],
    ids=lambda text: text[:20],
)
def test_what_holds_none(text: str, why: str) -> None:
    """A sentence, not a traceback."""
    with pytest.raises(ItemError, match=why):
        read_items(text)


@pytest.mark.parametrize("levels", [995, 100_000])
def test_what_is_nested_too_deep_is_said_to_be_so(levels: int) -> None:
    """A sentence, and no traceback, whether the parser gives up or what follows: Pythons differ."""
    with pytest.raises(ItemError, match="nested too deep"):
        read_items("[" * levels + "]" * levels)
