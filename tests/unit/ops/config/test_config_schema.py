"""replication.schema.json: it is made of the model, and agrees with it as far as a schema can."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from local.paths import ROOT
from ops.config.config_schema import member_docs, schema, schema_text
from writer.mapping.bson_values import Numbers
from writer.mapping.conversions import Conversion
from writer.mapping.model import Deletes, Mode
from writer.mapping.parser import parse_replication
from writer.mapping.problems import MappingError

VALIDATOR = Draft7Validator(schema())
YAML_BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)

RIGHT = [
    "{}",
    "tables: {}",
    "tables: {t: {}}",
    "tables: {'*': {database: d, collection: 'x_*'}}",
    "tables: {t: {database: null, collection: null, id_attribute: null, ttl_deletes: null, hook: null}}",
    "tables: {t: {key: []}}",
    "tables: {t: {key: [a, b], shard_key: [a, b.c]}}",
    "tables: {t: {numbers: decimal128, mode: merge, deletes: keep, ttl_deletes: mark}}",
    "tables: {t: {metadata_field: m, id_attribute: i, include: [a.b]}}",
    "tables: {t: {exclude: [a], hook: 'a.b:c'}}",
    "tables: {t: {fields: {a: {default: null}, b: {default: [1, {c: 2.5}]}}}}",
    "tables: {t: {fields: {a: {default: 2020-01-01 00:00:00}}}}",
    "tables: {t: {fields: {a: {drop: true}, b: {drop: false}, c: {rename: d}, 'e.f': {convert: json}}}}",
    "tables: {t: {fields: {a: {rename: null, convert: null}}}}",
]

WRONG = [
    "[]",
    "tables: []",
    "tables: {t: null}",
    "table: {}",
    "tables: {t: {keys: [a]}}",
    "tables: {t: {key: a}}",
    "tables: {t: {key: null}}",
    "tables: {t: {key: [1]}}",
    "tables: {t: {key: [a, b, c]}}",
    "tables: {t: {database: 5}}",
    "tables: {t: {numbers: float}}",
    "tables: {t: {numbers: null}}",
    "tables: {t: {mode: Merge}}",
    "tables: {t: {deletes: true}}",
    "tables: {t: {ttl_deletes: never}}",
    "tables: {t: {metadata_field: null}}",
    "tables: {t: {include: a}}",
    "tables: {t: {hook: f}}",
    "tables: {t: {hook: 'a-b:c'}}",
    "tables: {t: {hook: 'a:b.c'}}",
    "tables: {t: {hook: 5}}",
    "tables: {t: {fields: []}}",
    "tables: {t: {fields: {a: null}}}",
    "tables: {t: {fields: {a: {defualt: 1}}}}",
    "tables: {t: {fields: {a: {drop: 'yes'}}}}",
    "tables: {t: {fields: {a: {drop: 1}}}}",
    "tables: {t: {fields: {a: {rename: ''}}}}",
    "tables: {t: {fields: {a: {rename: 5}}}}",
    "tables: {t: {fields: {a: {convert: date}}}}",
]

WRONG_BEYOND_A_SCHEMA = [
    "tables: {a: {collection: c}, b: {collection: c}}",  # two tables, one collection
    "tables: {a*: {collection: 'x*'}, b*: {collection: 'x*'}}",
    "tables: {a*b: {}}",  # names and paths with rules of their own
    "tables: {a*: {collection: x}}",
    "tables: {t: {collection: a$b}}",
    "tables: {t: {database: admin}}",
    "tables: {t: {metadata_field: _id}}",
    "tables: {t: {include: [a..b]}}",
    "tables: {t: {shard_key: [_id]}}",
    "tables: {t: {fields: {a: {rename: $b}}}}",
    "tables: {t: {key: [a, a]}}",  # settings that do not go together
    "tables: {t: {include: [a], exclude: [b]}}",
    "tables: {t: {exclude: [a], fields: {a: {}}}}",
    "tables: {t: {fields: {a: {drop: true, default: 1}}}}",
    "tables: {t: {fields: {a: {rename: c}, b: {rename: c}}}}",
    "tables: {t: {shard_key: [a], deletes: mark}}",
    "tables: {t: {fields: {a: {default: 9223372036854775808}}}}",  # values that BSON does not have
    "tables: {t: {fields: {a: {default: 2020-01-01}}}}",
]


def is_right(text: str) -> bool:
    try:
        parse_replication(text, "")
    except MappingError:
        return False
    return True


def fits(text: str) -> bool:
    return VALIDATOR.is_valid(yaml.safe_load(text))


def test_the_file_is_that_of_the_model() -> None:
    """Else: make schema."""
    assert (ROOT / "replication.schema.json").read_text() == schema_text()


def test_it_is_a_schema() -> None:
    """As its dialect says what one is."""
    Draft7Validator.check_schema(schema())


@pytest.mark.parametrize("text", RIGHT)
def test_what_is_right_fits(text: str) -> None:
    """No editor complains about it."""
    assert is_right(text)
    assert fits(text)


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_does_not(text: str) -> None:
    """An editor shows it."""
    assert not is_right(text)
    assert not fits(text)


@pytest.mark.parametrize("text", WRONG_BEYOND_A_SCHEMA)
def test_what_only_the_model_finds(text: str) -> None:
    """A schema cannot compare; `replicator check-config` and the writer do."""
    assert not is_right(text)
    assert fits(text)


def test_the_files_and_examples_that_ship_fit() -> None:
    """The example, which names the schema in its first line, and those of the documentation."""
    example = (ROOT / "replication.yaml").read_text()
    assert example.startswith("# yaml-language-server: $schema=./replication.schema.json\n")
    pages = [(ROOT / page).read_text() for page in ("README.md", "docs/mapping.md", "docs/testing.md")]
    blocks = [block for page in pages for block in YAML_BLOCK.findall(page)]
    assert len(blocks) > 20
    for text in (example, *blocks):
        VALIDATOR.validate(yaml.safe_load(text))


def test_editors_have_something_to_show() -> None:
    """Every setting is described, every choice has its meaning, nothing unknown is let through."""
    definitions = schema()["definitions"]
    assert set(definitions) == {"TableRule", "FieldRule"}
    for model in (schema(), *definitions.values()):
        assert model["additionalProperties"] is False
        for name, setting in model["properties"].items():
            assert setting["description"], name
            assert "anyOf" not in setting, name
            assert len(setting.get("enum", ())) == len(setting.get("enumDescriptions", ())), name


@pytest.mark.parametrize("enum", [Conversion, Deletes, Mode, Numbers])
def test_every_choice_has_a_meaning(enum: Any) -> None:
    """In the docstring below it."""
    assert set(member_docs(enum)) == set(enum.__members__)


def test_every_choice_is_offered() -> None:
    """With null where the setting can be left open."""
    table, field = (schema()["definitions"][name]["properties"] for name in ("TableRule", "FieldRule"))
    assert table["numbers"]["enum"] == [*Numbers]
    assert table["mode"]["enum"] == [*Mode]
    assert table["deletes"]["enum"] == [*Deletes]
    assert table["ttl_deletes"]["enum"] == [*Deletes, None]
    assert field["convert"]["enum"] == [*Conversion, None]
    assert "default" not in field["default"]
