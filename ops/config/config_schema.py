"""`replicator config-schema`: the JSON Schema of `replication.yaml`, made from the model that reads the file.

It is written for editors. The meanings of an enum's members stand beside it, and a setting is no reference,
because some editors ignore what stands beside a reference.
"""

import ast
import inspect
import itertools
import json
import textwrap
from enum import StrEnum
from typing import Any

import typer

from ops.console.exit_status import exits_with_status
from writer.mapping.bson_values import Numbers
from writer.mapping.conversions import Conversion
from writer.mapping.model import Deletes, Mode, Replication, UnnamedTables

Schema = dict[str, Any]

_ENUMS: tuple[type[StrEnum], ...] = (Conversion, Deletes, Mode, Numbers, UnnamedTables)
_DIALECT = "http://json-schema.org/draft-07/schema#"  # the newest that every editor knows


@exits_with_status
def command() -> None:
    """Print the JSON Schema of replication.yaml.

    Editors check and complete the file with it. The same text is replication.schema.json in the repository.
    """
    typer.echo(schema_text(), nl=False)


def schema_text() -> str:
    """The schema as the text of `replication.schema.json`."""
    return json.dumps(schema(), indent=2) + "\n"


def schema() -> Schema:
    """The schema as an object."""
    made = Replication.model_json_schema(ref_template="#/definitions/{model}")
    definitions = made.pop("$defs")
    enums = {f"#/definitions/{enum.__name__}": _enum(enum) for enum in _ENUMS}
    for enum in _ENUMS:
        del definitions[enum.__name__]
    models = [made, *definitions.values()]
    for model in models:
        model["properties"] = {
            name: _setting(setting, enums) for name, setting in model["properties"].items()
        }
        del model["title"]
    made["title"] = "replication.yaml"
    made["description"] = "How DynamoDB tables become MongoDB collections."
    return {"$schema": _DIALECT, **made, "definitions": definitions}


def _enum(enum: type[StrEnum]) -> Schema:
    meanings = member_docs(enum)
    return {
        "type": "string",
        "enum": [member.value for member in enum],
        "enumDescriptions": [meanings[member.name] for member in enum],
    }


def member_docs(enum: type[StrEnum]) -> dict[str, str]:
    """The docstrings below an enum's members, by name. Python itself does not keep them."""
    docs = {}
    for statement in ast.parse(textwrap.dedent(inspect.getsource(enum))).body:
        body = statement.body if isinstance(statement, ast.ClassDef) else []
        for member, doc in itertools.pairwise(body):
            match member, doc:
                case ast.Assign(targets=[ast.Name(id=name)]), ast.Expr(value=ast.Constant(value=str(text))):
                    docs[name] = " ".join(text.split())
    return docs


def _setting(setting: Schema, enums: dict[str, Schema]) -> Schema:
    """One setting. Null is one of its types, not a schema of its own, and an enum is written out."""
    kinds = setting.get("anyOf", [setting])
    kind = next(kind for kind in kinds if kind.get("type") != "null")
    kind = dict(enums.get(kind.get("$ref"), kind))
    kind |= {"description": " ".join(setting["description"].split())}
    if "enum" in kind:
        meanings = zip(kind["enum"], kind["enumDescriptions"], strict=True)
        kind["description"] += "".join(f"\n\n- `{name}`: {meaning}" for name, meaning in meanings)
    if setting.get("default") is not None:  # editors would write out null, which means "not set"
        kind["default"] = setting["default"]
    else:
        kind.pop("default", None)
    if len(kinds) > 1:
        kind["type"] = [kind["type"], "null"]
        if "enum" in kind:
            kind["enum"] = [*kind["enum"], None]
            kind["enumDescriptions"] = [*kind["enumDescriptions"], "As if it were not there."]
    return {name: kind[name] for name in sorted(kind, key=_sort_key) if name != "title"}


def _sort_key(name: str) -> tuple[bool, str]:
    return name != "description", name
