"""The schemas of what the commands print: as declared, shipped, and each with its fields described.

That real output fits them is checked wherever a test runs a command with `--json`: `tests.support.commands`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from local.paths import ROOT
from ops.json_outputs.schemas import OUTPUTS, file_name, schema_of, schema_text

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = ROOT / "ops" / "schemas"


@pytest.mark.parametrize("command", OUTPUTS)
def test_the_shipped_schema_is_the_declared_one(command: str) -> None:
    """`make schema` writes it."""
    assert (FOLDER / file_name(command)).read_text() == schema_text(command)
    Draft202012Validator.check_schema(schema_of(command))


def test_no_schema_is_left_over() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {file_name(command) for command in OUTPUTS}


def properties(schema: Any) -> Iterator[tuple[str, Any]]:
    """All fields of a schema, at whatever depth."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {}).items()
        for value in schema.values():
            yield from properties(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from properties(value)


@pytest.mark.parametrize("command", OUTPUTS)
def test_every_field_is_described(command: str) -> None:
    """A key is an object, and a time has its format, wherever they are."""
    fields = [*properties(schema_of(command))]
    assert fields
    for name, field in fields:
        assert field.get("description") or "$ref" in field, name  # a type says itself what it is
        if name == "key":
            assert '"type": "object"' in json.dumps(field)
        if name in {"at", "sent_at", "time", "started", "finished"}:
            assert '"format": "date-time"' in json.dumps(field)


def test_another_field_does_not_fit() -> None:
    """A field that nobody has described is no part of the output."""
    problem = {"setting": "", "text": "x", "line": 1, "column": 1}
    data = {"file": "r.yaml", "valid": False, "problems": [problem], "warnings": []}
    validator = Draft202012Validator(schema_of("check-config"))
    validator.validate(data)
    with pytest.raises(ValidationError):
        validator.validate(data | {"mistakes": []})
    with pytest.raises(ValidationError):
        validator.validate(data | {"problems": [problem | {"column": "1"}]})
