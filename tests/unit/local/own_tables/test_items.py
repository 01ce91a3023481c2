import json
from typing import Any

import pytest

from local.own_tables.items import ItemError, distinct, key_types, read_items, sample_items, split

ITEM = {"id": {"N": "1"}, "a": {"M": {"b": {"L": [{"N": "1.5"}, {"NULL": True}, {"BOOL": False}]}}}}
SETTINGS: dict[str, Any] = {"fields": {}, "include": [], "exclude": [], "ttl_attribute": None}


@pytest.mark.parametrize(
    "text",
    [
        '{"id": 1, "a": {"b": [1.5, null, false]}}',
        json.dumps(ITEM),
        json.dumps({"Item": ITEM}),
        json.dumps({"Items": [ITEM], "Count": 1}),
        json.dumps([ITEM], indent=1),
        f"\n{json.dumps({'Item': ITEM})}\n\n",
    ],
)
def test_an_item_can_be_written_in_many_ways(text: str) -> None:
    """Plain JSON, and what DynamoDB's export and the AWS CLI write, mean the same item."""
    assert read_items(text) == [ITEM]


def test_items_are_lines() -> None:
    """Digits are kept, and binary values are bytes."""
    exported = '{"Item": {"id": {"N": "2"}, "b": {"B": "aGk="}, "bs": {"BS": ["aGk="]}}}'
    assert read_items(f'{{"id": 12345678901234567890.5}}\n{exported}') == [
        {"id": {"N": "12345678901234567890.5"}},
        {"id": {"N": "2"}, "b": {"B": b"hi"}, "bs": {"BS": [b"hi"]}},
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"id": 1}\nnope', "line 2 is not JSON"),
        ('{"id": 1}\n7', "line 2 is not an object"),
        ("[1]", "the file, element 1 is not an object"),
        ('{"id": NaN}', "NaN is not a number of JSON"),
    ],
)
def test_what_is_no_item_is_a_sentence(text: str, why: str) -> None:
    """It says where."""
    with pytest.raises(ItemError, match=why):
        read_items(text)


def test_the_types_of_a_key_are_those_of_the_items() -> None:
    """An item that lacks the key, or has another type, is named."""
    assert key_types(["id", "at"], [{"id": {"N": "1"}, "at": {"S": "x"}}]) == {"id": "N", "at": "S"}
    assert key_types(["id"], []) == {"id": "S"}
    with pytest.raises(ItemError, match="item 2 has no attribute 'id'"):
        key_types(["id"], [{"id": {"N": "1"}}, {}])
    with pytest.raises(
        ItemError, match="item 2: the key attribute 'id' is of type S, but was of type N before"
    ):
        key_types(["id"], [{"id": {"N": "1"}}, {"id": {"S": "1"}}])
    with pytest.raises(ItemError, match="of type BOOL, which a key cannot have"):
        key_types(["id"], [{"id": {"BOOL": True}}])


def test_the_last_item_of_a_key_counts() -> None:
    """One call of DynamoDB takes each key once."""
    first, second, other = ({"id": {"N": n}, "v": {"N": v}} for n, v in (("1", "1"), ("1", "2"), ("2", "1")))
    assert distinct(["id"], [first, second, other]) == [second, other]


def test_made_up_items_have_what_the_rules_are_about() -> None:
    """Fields of conversions have values that these take; the last item lacks those with a default."""
    fields = {
        "age": {"default": None},
        "at.since": {"convert": "epoch_seconds"},
        "number": {"convert": "int"},
    }
    first, _, last = sample_items(["id", "number"], {**SETTINGS, "fields": fields})
    assert first["id"] == {"S": "id-1"}
    assert first["number"] == {"S": "1"}
    assert first["at"]["M"]["since"]["N"].isdigit()
    assert "age" in first
    assert "age" not in last
    assert [sorted(each) for each in sample_items(["id"], SETTINGS)] == [["count", "id", "name"]] * 3


def test_a_path_is_split_at_its_dots() -> None:
    """A backslash stands before what belongs to a name."""
    assert split(r"a\.b.c") == ["a.b", "c"]
