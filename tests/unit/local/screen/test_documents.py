import datetime as dt
from typing import Any

import pytest
from bson import Int64

from local.example.scenario import JOHN
from local.screen.documents import as_table, describe_difference, render

METADATA = {"_ddb": {"v": "2020-04-30T17:47:21.395"}}
GOOD: dict[str, Any] = {**JOHN, **METADATA}


@pytest.mark.parametrize(
    ("document", "difference"),
    [
        (GOOD, None),
        ({**GOOD, "id": Int64(1)}, None),
        ({**GOOD, "id": 1.0}, "id: 1.0, not 1"),
        ({**GOOD, "id": True}, "id: true, not 1"),
        ({**GOOD, "Name": None}, 'Name: null, not "John"'),
        ({**GOOD, "created_at": 1588166528}, r"created_at: 1588166528, not ISODate"),
        ({**GOOD, "city": "Rome"}, 'city: "Rome", which should not be there'),
        ({name: value for name, value in GOOD.items() if name != "age"}, "has no age"),
        (dict(JOHN), "no version in _ddb"),
        ({**GOOD, "_ddb": {"v": ""}}, "no version in _ddb"),
        ({**GOOD, "_id": 2}, r"documents \[2\], not \[1\]"),
    ],
)
def test_every_field_and_type_counts(document: dict[str, Any], difference: str | None) -> None:
    """The example is verified only if the document is exactly the expected one."""
    described = describe_difference([document], [JOHN])
    if difference is None:
        assert described is None
    else:
        with pytest.raises(AssertionError, match=difference):
            raise AssertionError(described)


@pytest.mark.parametrize("actual", [[], [GOOD, {**GOOD, "_id": 2}]])
def test_the_number_of_documents_counts(actual: list[dict[str, Any]]) -> None:
    """A missing document is a difference, and so is an additional one."""
    assert describe_difference(actual, [JOHN]) is not None


def test_values_look_as_one_writes_them_in_mongosh() -> None:
    """People can compare the screen with their own shell."""
    values = [None, True, 1, 0.5, 'a "b"', "é", dt.datetime(2020, 4, 29, 13, 22, 8, tzinfo=dt.UTC)]
    shown = ["null", "true", "1", "0.5", '"a \\"b\\""', '"é"', 'ISODate("2020-04-29T13:22:08Z")']
    assert [render(value) for value in values] == shown


def test_a_missing_field_is_not_null_in_the_table() -> None:
    """An attribute that was removed leaves an empty cell; null is written as null."""
    columns, rows = as_table([{"_id": 1, "b": None, "_ddb": {}}, {"_id": 2, "a": 3, "_ddb": {}}])
    assert columns == ["_id", "a", "b", "_ddb"]
    assert rows == [["1", "", "null", "{…}"], ["2", "3", "", "{…}"]]
