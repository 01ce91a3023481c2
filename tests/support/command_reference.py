"""docs/commands.md, made of what the commands say of themselves: `make schema`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops.cli import COMMANDS, load
from ops.json_outputs.schemas import OUTPUTS, schema_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_HEAD = """\
# Commands

Made by `make schema` from what the commands say of themselves: `replicator COMMAND --help` says the same.
[Operations](operations.md) and [migration](migration.md) tell what they are for, and in which order. An
option that is not given is read from its variable. `ops/schemas/` has the JSON Schemas of what `--json`
prints: one object, or one on each line.
"""


def reference() -> str:
    """The text of the page."""
    parts = [_HEAD]
    for panel, entries in COMMANDS.items():
        parts.append(f"## {panel}\n")
        for name, entry in entries.items():
            command = load(name, entry)
            for full, each in _commands(name, command):
                parts.extend(_command(full, each))
    return "\n".join(parts)


def _commands(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    inner: Mapping[str, Any] = getattr(command, "commands", {})
    if not inner:
        yield name, command
    for each, found in inner.items():
        yield f"{name} {each}", found


def _command(name: str, command: Any) -> Iterator[str]:
    yield f"### `{name}`\n"
    yield f"{command.help.strip()}\n"
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option" and each.name != "help"]
    words = "".join(f" {_argument(each)}" for each in arguments)
    yield f"```\nreplicator {name}{words}{' [OPTIONS]' if options else ''}\n```\n"
    yield from _table(("argument", ""), [(f"`{_argument(each)}`", each.help) for each in arguments])
    yield from _table(
        ("option", "variable", "default", ""),
        [(_names(each), _variables(each), _default(each), each.help) for each in options],
    )
    if name in OUTPUTS:
        yield "With `--json`:\n"
        yield from _table(("field", "type", ""), _fields(schema_of(name)))


def _argument(argument: Any) -> str:
    shown = (argument.metavar or argument.name).upper()
    shown += "…" if argument.nargs == -1 else ""
    return shown if argument.required else f"[{shown}]"


def _names(option: Any) -> str:
    return ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])


def _variables(option: Any) -> str:
    names = option.envvar or ()
    return ", ".join(f"`{name}`" for name in ([names] if isinstance(names, str) else names))


def _default(option: Any) -> str:
    default = getattr(option.default, "value", option.default)
    if option.required:
        return "needed"
    return "" if default in (None, False, "", ()) or callable(default) else f"`{default}`"


def _fields(schema: Mapping[str, Any], prefix: str = "", known: Mapping[str, Any] | None = None) -> list[Any]:
    known = schema.get("$defs", {}) if known is None else known
    rows: list[Any] = []
    for name, field in schema.get("properties", {}).items():
        rows.append((f"`{prefix}{name}`", _type(field, known), field.get("description", "")))
        inner, into = _inner(field, known)
        if inner is not None:
            rows.extend(_fields(inner, f"{prefix}{name}{into}.", known))
    return rows


def _inner(field: Mapping[str, Any], known: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, str]:
    """The object that a field holds, and how its fields are reached: of itself, of a list, of a map."""
    for each in (field, *field.get("anyOf", ())):
        if "$ref" in each:
            return known[each["$ref"].rpartition("/")[2]], ""
        if "items" in each:
            return _inner(each["items"], known)[0], "[]"
        if isinstance(each.get("additionalProperties"), dict):
            return _inner(each["additionalProperties"], known)[0], ".*"
    return None, ""


def _type(field: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_type(each, known) for each in field["anyOf"]))
    if "$ref" in field:
        return _type(known[field["$ref"].rpartition("/")[2]], known)
    if "enum" in field or "const" in field:
        return ", ".join(f"`{each}`" for each in field.get("enum", [field.get("const")]))
    if "items" in field:
        return f"list of {_type(field['items'], known)}"
    return str(field.get("type", "any"))


def _table(head: tuple[str, ...], rows: list[Any]) -> Iterator[str]:
    if rows:
        lines = [head, ["---"] * len(head), *rows]
        cells = [[" ".join(str(cell or "").split()).replace("|", "\\|") for cell in row] for row in lines]
        yield "\n".join(f"| {' | '.join(row)} |" for row in cells) + "\n"


def main(file: str) -> None:
    """Writes the page."""
    Path(file).write_text(reference(), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
