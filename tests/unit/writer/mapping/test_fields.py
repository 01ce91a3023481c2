"""Rules for fields, applied to documents: paths, lists, and which rule comes first."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest

from shared.errors import PoisonError
from writer.mapping.bson_values import Numbers
from writer.mapping.fields import Fields
from writer.mapping.model import FieldRule
from writer.mapping.paths import parse_path

OF_GLOBAL_TABLES = {"aws:rep:deleting": False, "aws:rep:updateregion": "us-east-1", "aws:rep:updatetime": 1.5}

Rules = dict[str, dict[str, Any]]


def fields(rules: Rules, **which: list[str]) -> Fields:
    made = {path: FieldRule.model_validate(rule) for path, rule in rules.items()}
    return Fields(made, which.get("include", ()), which.get("exclude", ()), numbers=Numbers.NATIVE)


@pytest.mark.parametrize(
    ("rules", "document", "expected"),
    [
        ({}, {"a": 1}, {"a": 1}),
        ({"a": {"drop": True}}, {"a": 1, "b": 2}, {"b": 2}),
        ({"a": {"drop": True}}, {"b": 2}, {"b": 2}),
        ({"a": {"default": 1}}, {}, {"a": 1}),
        ({"a": {"default": None}}, {}, {"a": None}),
        ({"a": {"default": 1}}, {"a": None}, {"a": None}),
        ({"a": {}}, {}, {}),
        ({"a": {"rename": "b"}}, {"a": 1}, {"b": 1}),
        ({"a": {"rename": "b"}}, {}, {}),
        ({"a": {"rename": "b", "default": 1}}, {}, {"b": 1}),
        ({"a": {"rename": "b", "default": "0", "convert": "int"}}, {}, {"b": "0"}),
        ({"a": {"rename": "b", "default": "0", "convert": "int"}}, {"a": "5"}, {"b": 5}),
        ({"a": {"rename": "b"}, "b": {"rename": "a"}}, {"a": 1, "b": 2}, {"b": 1, "a": 2}),
        ({"a": {"rename": "b"}, "b": {"rename": "c"}}, {"a": 1, "b": 2}, {"b": 1, "c": 2}),
        ({"a": {"drop": True}, "b": {"rename": "a"}}, {"a": 1, "b": 2}, {"a": 2}),
        ({"a": {"rename": "a"}}, {"a": 1}, {"a": 1}),
        # below a name
        ({"a.b": {"drop": True}}, {"a": {"b": 1, "c": 2}}, {"a": {"c": 2}}),
        ({"a.b": {"default": 1}}, {"a": {}}, {"a": {"b": 1}}),
        ({"a.b": {"default": 1}}, {}, {}),
        ({"a.b": {"default": 1}, "a": {"default": {}}}, {}, {"a": {}}),
        ({"a.b": {"default": 1}}, {"a": "text"}, {"a": "text"}),
        ({"a.b": {"default": 1}}, {"a": None}, {"a": None}),
        ({"a.b": {"rename": "c"}, "a": {"rename": "d"}}, {"a": {"b": 1}}, {"d": {"c": 1}}),
        ({"a.b": {"rename": "x"}, "c.b": {"rename": "x"}}, {"a": {"b": 1}, "c": {"b": 2}},
         {"a": {"x": 1}, "c": {"x": 2}}),
        ({"a.b.c": {"convert": "int"}}, {"a": {"b": {"c": "1"}}}, {"a": {"b": {"c": 1}}}),
        # through lists
        ({"a.b": {"convert": "int"}}, {"a": [{"b": "1"}, {}, "b", None, [{"b": "2"}]]},
         {"a": [{"b": 1}, {}, "b", None, [{"b": 2}]]}),
        ({"a.b": {"default": 0}}, {"a": [{}, {"b": 1}]}, {"a": [{"b": 0}, {"b": 1}]}),
        ({"a.b": {"drop": True}}, {"a": []}, {"a": []}),
        ({"a.0": {"drop": True}}, {"a": [1]}, {"a": [1]}),  # names, not positions
        # what old global tables add for themselves is left out, unless a rule names it
        ({}, {"a": 1, **OF_GLOBAL_TABLES}, {"a": 1}),
        ({"a": {"rename": "b"}}, {"a": 1, **OF_GLOBAL_TABLES}, {"b": 1}),
        ({"aws:rep:updateregion": {"rename": "region"}}, {"a": 1, **OF_GLOBAL_TABLES},
         {"a": 1, "region": "us-east-1"}),
        ({"aws:rep:updatetime": {}}, {"a": 1, **OF_GLOBAL_TABLES}, {"a": 1, "aws:rep:updatetime": 1.5}),
        # odd names
        ({r"a\.b": {"drop": True}}, {"a.b": 1, "a": {"b": 2}}, {"a": {"b": 2}}),
        ({r"a\\.b": {"drop": True}}, {"a\\": {"b": 1}, "a": 1}, {"a\\": {}, "a": 1}),
        ({"$set": {"rename": "set"}}, {"$set": 1}, {"set": 1}),
    ],
)  # fmt: skip
def test_rules(rules: Rules, document: dict[str, Any], expected: dict[str, Any]) -> None:
    """The outcome, and that the document that was given stays as it is."""
    before = copy.deepcopy(document)
    assert fields(rules).apply(document) == expected
    assert document == before


@pytest.mark.parametrize(
    ("include", "document", "expected"),
    [
        (["a"], {"a": {"b": [1]}, "c": 2}, {"a": {"b": [1]}}),
        (["a"], {"c": 2}, {}),
        (["a.b"], {"a": {"b": 1, "c": 2}, "b": 3}, {"a": {"b": 1}}),
        (["a.b"], {"a": {"c": 2}}, {"a": {}}),
        (["a.b"], {"a": "text"}, {}),
        (["a.b"], {"a": None}, {}),
        (["a.b"], {"a": [{"b": 1, "c": 2}, "text", [{"b": 3}], {}]}, {"a": [{"b": 1}, [{"b": 3}], {}]}),
        (["a", "a.b"], {"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 2}}),
        (["a.b", "a"], {"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 2}}),
        ([r"a\.b"], {"a.b": 1, "a": {"b": 2}}, {"a.b": 1}),
    ],
)  # fmt: skip
def test_include(include: list[str], document: dict[str, Any], expected: dict[str, Any]) -> None:
    """A path covers everything below it; of what is above it, maps and lists stay as its frame."""
    assert fields({}, include=include).apply(document) == expected


def test_exclude() -> None:
    """Paths, through lists, too; what is beside them stays, with its rules."""
    rules = fields({"a.c": {"rename": "d"}}, exclude=["a.b", "e"])
    assert rules.apply({"a": [{"b": 1, "c": 2}], "e": {"f": 1}}) == {"a": [{"d": 2}]}


def test_rules_see_what_is_included() -> None:
    """A default is for what is not there, also because it was not included."""
    rules = fields({"a": {"default": 0}, "b": {"rename": "c"}}, include=["b"])
    assert rules.apply({"a": 5, "b": 1, "c": 2}) == {"a": 0, "c": 1}


@pytest.mark.parametrize(
    ("rules", "document"),
    [
        ({"a": {"rename": "b"}}, {"a": 1, "b": 2}),
        ({"a": {"rename": "b", "default": 1}}, {"b": 2}),
        ({"x.a": {"rename": "b"}}, {"x": [{"a": 1, "b": 2}]}),
    ],
)
def test_a_name_that_is_taken_is_poison(rules: Rules, document: dict[str, Any]) -> None:
    """Neither of the two may be lost."""
    with pytest.raises(PoisonError, match="'b'") as caught:
        fields(rules).apply(document)
    assert caught.value.code == "bad-rename"


def test_a_conversion_that_fails_names_the_path() -> None:
    """As the file writes it."""
    with pytest.raises(PoisonError, match=r"'lines\.price'"):
        fields({"lines.price": {"convert": "int"}}).apply({"lines": [{"price": "x"}]})


def test_documents_do_not_share_a_default() -> None:
    """What a hook does to the one must not be seen in the next."""
    rules = fields({"a": {"default": {"b": []}}})
    rules.apply({})["a"]["b"].append(1)
    assert rules.apply({}) == {"a": {"b": []}}


def test_the_name_of_an_attribute_in_the_document() -> None:
    """For attributes that left the item: what their fields are called."""
    rules = fields({"a": {"rename": "b"}, "c": {"default": 1}, "d.e": {"rename": "f"}})
    assert [rules.name_of(name) for name in ("a", "b", "c", "d", "x")] == ["b", "b", "c", "d", "x"]
    rules = fields({"a": {"drop": True}, "c": {"rename": "d"}}, exclude=["b"])
    assert [rules.name_of(name) for name in ("a", "b", "c")] == [None, None, "d"]
    rules = fields({"a": {"rename": "b"}}, include=["a", "c.d"])
    assert [rules.name_of(name) for name in ("a", "b", "c")] == ["b", None, "c"]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a", ("a",)),
        ("a.b.c", ("a", "b", "c")),
        (r"a\.b", ("a.b",)),
        (r"a\\.b", ("a\\", "b")),
        (r"\.\.", ("..",)),
        ("ä b.$c", ("ä b", "$c")),
        ("a\nb", ("a\nb",)),
        (r"a\[0].\*", ("a[0]", "*")),
        ("a]", ("a]",)),
    ],
)
def test_paths(text: str, path: tuple[str, ...]) -> None:
    """A dot parts names, unless a backslash stands before it."""
    assert parse_path(text) == path


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a..b", "\\", r"a\b", "a\\", r"a.\b", "a.\\"])
def test_what_is_no_path(text: str) -> None:
    """Empty names, and backslashes that mean nothing."""
    with pytest.raises(ValueError, match=r"empty name|backslash"):
        parse_path(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a[0].b", "[0]"),
        ("a.[12]", "[12]"),
        ("a[].b", "[]"),
        ("a.*", "*"),
        ("*", "*"),
        ("a.b*", "*"),
        ("[", "["),
    ],
)
def test_a_path_with_an_index(text: str, found: str) -> None:
    """It would be a name with brackets, which hardly any item has: it says how a list is written."""
    with pytest.raises(ValueError, match=f"^has {re.escape(found)}: leave it out"):
        parse_path(text)
