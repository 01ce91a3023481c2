"""Rules of a mapping that have no effect: in any item, or in those of a sample. Pure.

It decides by the order in which `writer.mapping.fields` applies rules: include, then exclude and drop, then
the others, each by the names that the item has. It never says that a rule is wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from writer.mapping.paths import parse_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from writer.mapping.model import FieldRule, TableRule
    from writer.mapping.paths import Path
    from writer.mapping.problems import Place

Finding = tuple["Place", str]
"""The place of a rule below its table, and why it has no effect."""


def unused_rules(rule: TableRule) -> Iterator[Finding]:
    """The rules that can match nothing, whatever the items are."""
    for setting, texts in (("include", rule.include), ("exclude", rule.exclude)):
        yield from _covered(setting, texts)
    dropped = {parse_path(text): f"exclude {text}" for text in rule.exclude}
    dropped |= {parse_path(text): f"drop {text}" for text, field in rule.fields.items() if field.drop}
    included = [parse_path(text) for text in rule.include]
    renamed = {
        (*path[:-1], field.rename): text
        for text, field in rule.fields.items()
        if field.rename is not None and (path := parse_path(text))
    }
    fields: Mapping[str, FieldRule] = rule.fields
    for text, field in fields.items():
        path = parse_path(text)
        above = _above(path)
        if parent := next((dropped[each] for each in above if each in dropped), None):
            yield ("fields", text), f"it matches nothing: {parent!r} removes its parent"
        elif other := next((renamed[each] for each in above if each in renamed), None):
            better = f"{other}.{'.'.join(path[len(parse_path(other)) :])}"
            yield ("fields", text), f"paths have the names of the item, before {other!r} is renamed: {better}"
        elif included and not field.has_default and not any(_meet(path, each) for each in included):
            yield ("fields", text), "it matches nothing, because include leaves the attribute out"
        elif not field.model_fields_set or field.rename == path[-1]:
            yield ("fields", text), "it changes nothing"


def untouched_rules(rule: TableRule, items: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """The rules that match nothing in these items, which are AttributeValues by name."""
    listed = [((name,), text) for name in ("include", "exclude") for text in getattr(rule, name)]
    fields = [(("fields", text), text) for text, field in rule.fields.items() if not field.has_default]
    for place, text in listed + fields:
        path = parse_path(text)
        if not any(_is_in({"M": item}, path) for item in items):
            yield place, f"{text!r} matches nothing in the sample"


def _covered(setting: str, texts: Sequence[str]) -> Iterator[Finding]:
    """Paths that are there twice, or below another one of the list."""
    paths = [parse_path(text) for text in texts]
    for at, path in enumerate(paths):
        place = (setting, str(at))
        if path in paths[:at]:
            yield place, f"{texts[at]!r} appears twice"
        elif other := next((texts[n] for n, each in enumerate(paths) if each in _above(path)), None):
            yield place, f"{texts[at]!r} has no effect, because {other!r} covers everything below it"


def _above(path: Path) -> list[Path]:
    return [path[:length] for length in range(1, len(path))]


def _meet(one: Path, other: Path) -> bool:
    """Whether one of the paths is the other one, or below it."""
    length = min(len(one), len(other))
    return one[:length] == other[:length]


def _is_in(value: Any, path: Path) -> bool:
    """Whether an AttributeValue has something at a path, which goes through the elements of lists."""
    if not path:
        return True
    if not isinstance(value, dict):
        return False
    if isinstance(value.get("L"), list):
        return any(_is_in(element, path) for element in value["L"])
    content = value.get("M")
    return isinstance(content, dict) and path[0] in content and _is_in(content[path[0]], path[1:])
