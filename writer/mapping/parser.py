"""The text of `replication.yaml` → its model, or all mistakes at once in words of the file. Pure.

A mistake in one place must not hide those in others: what is valid is checked without what is not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from writer.mapping.model import FieldRule, Replication, TableRule
from writer.mapping.problems import MappingError, Mistake, Problems, did_you_mean
from writer.mapping.yaml_text import YamlText, read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pydantic_core import ErrorDetails

    from writer.mapping.problems import Place

_EXPECTED = {
    "bool_type": "only true or false is allowed here",
    "dict_type": "settings are expected here, each as `name: value`; write {} for none",
    "model_type": "settings are expected here, each as `name: value`; write {} for none",
    "string_pattern_mismatch": "a hook is written as module:function",  # only hooks have a pattern
    "string_too_short": "it is empty",
    "string_type": "a text is expected here. YAML does not read words such as on, yes, null or 12 as text "
    "unless they are in quotes",
    "too_long": "a key has at most two attributes",  # only the key has a limit
    "tuple_type": "a list is expected here, such as [id]",
}
"""Instead of what pydantic says in terms of Python."""

_TOGETHER = {"key", "shard_key", "metadata_field", "id_attribute", "deletes", "ttl_deletes", "ttl_attribute"}
"""Settings of a table that are checked against each other: none of them is, where one is wrong."""

_TARGET = {"database", "collection"}
"""Settings of a table that are checked against those of other tables."""


@dataclass(slots=True)
class Reading:
    """What was read.

    Attributes:
        replication: the model; None: there are mistakes.
        mistakes: all of them, in the order of the file.
        hooks: the hooks of the tables whose hooks are well written, mistakes elsewhere or not.
        yaml: where each setting is; None: the text is not YAML.
    """

    replication: Replication | None = None
    mistakes: list[Mistake] = field(default_factory=list)
    hooks: dict[str, str] = field(default_factory=dict)
    yaml: YamlText | None = None

    def located(self, place: Place, text: str) -> Mistake:
        """A mistake at a place of this file."""
        return Mistake(".".join(place), text, *(self.yaml.position(place) if self.yaml else (0, 0)))


def parse_replication(text: str, source: str) -> Replication:
    """Reads the text of a `replication.yaml`.

    Args:
        text: the file's content.
        source: its name, for messages.

    Raises:
        MappingError: not YAML, or not of the model.
    """
    found = read_replication(text)
    if found.replication is None:
        raise MappingError(found.mistakes, source)
    return found.replication


def read_replication(text: str) -> Reading:
    """Reads the text, and finds every mistake in it."""
    try:
        yaml = read_yaml(text)
    except MappingError as error:
        return Reading(mistakes=list(error.mistakes))
    content = {} if yaml.content is None else yaml.content
    replication, errors = _validated(content)
    if errors:
        errors = [*errors, *_hidden(content, errors)]
    mistakes = [*yaml.duplicates, *(mistake for error in errors for mistake in _mistakes(error, yaml))]
    mistakes.sort(key=lambda mistake: (mistake.line, mistake.column))
    return Reading(None if mistakes else replication, mistakes, _hooks(content, errors), yaml)


def _validated(content: Any) -> tuple[Replication | None, list[ErrorDetails]]:
    try:
        return Replication.model_validate(content), []
    except ValidationError as error:
        return None, error.errors(include_url=False)


def _hidden(content: Any, errors: Sequence[ErrorDetails]) -> Iterator[ErrorDetails]:
    """What the model does not check, because it found other errors before."""
    tables = content.get("tables") if isinstance(content, dict) else None
    if not isinstance(tables, dict) or any(not error["loc"] for error in errors):
        return
    clear = {}
    for name, rule in tables.items():
        if not (isinstance(name, str) and isinstance(rule, dict)):
            continue
        found = [error for error in errors if error["loc"][:2] == ("tables", name)]
        if places := [error["loc"][2:] for error in found if len(error["loc"]) > len(("tables", name))]:
            hidden = list(_hidden_in_table(name, _without(rule, places)))
            yield from hidden
            found += hidden
        if not any(_TARGET & _settings(error) for error in found):
            clear[name] = {setting: rule[setting] for setting in _TARGET & rule.keys()}
    yield from _validated({"tables": clear})[1]


def _settings(error: ErrorDetails) -> set[str]:
    """The settings of a table that an error is about."""
    problems = error.get("ctx", {}).get("error")
    if isinstance(problems, Problems):
        return {place[0] for place, _ in problems.found}
    return {str(name) for name in error["loc"][2:3]}


def _hidden_in_table(name: str, rule: dict[Any, Any]) -> Iterator[ErrorDetails]:
    try:
        TableRule.model_validate(rule)
    except ValidationError as error:
        for each in error.errors(include_url=False):
            each["loc"] = ("tables", name, *each["loc"])
            yield each


def _without(rule: dict[Any, Any], places: Sequence[tuple[Any, ...]]) -> dict[Any, Any]:
    """A table's settings without those that are wrong, and those that depend on them."""
    rest = dict(rule)
    for setting, *below in places:
        for each in _TOGETHER if setting in _TOGETHER else {setting}:
            if each == "fields" and below and isinstance(rest.get(each), dict):
                rest[each] = {path: value for path, value in rest[each].items() if path != below[0]}
            else:
                rest.pop(each, None)
    return rest


def _hooks(content: Any, errors: Sequence[ErrorDetails]) -> dict[str, str]:
    wrong = {error["loc"][1] for error in errors if error["loc"][2:3] == ("hook",)}
    tables = content.get("tables") if isinstance(content, dict) else None
    rules = tables.items() if isinstance(tables, dict) else ()
    hooks = {name: rule.get("hook") for name, rule in rules if isinstance(rule, dict) and name not in wrong}
    return {str(name): hook for name, hook in hooks.items() if isinstance(hook, str)}


def _mistakes(error: ErrorDetails, yaml: YamlText) -> Iterator[Mistake]:
    """What the model found wrong in one place."""
    place = tuple(str(part) for part in error["loc"] if part != "[key]")
    setting = ".".join(place)
    is_key = "[key]" in error["loc"]
    match error["type"]:
        case "value_error" if isinstance(several := error["ctx"]["error"], Problems):
            for below, text in several.found:
                yield Mistake(setting or "tables", text, *yaml.position(place + below, of_key=True))
            return
        case "value_error":
            message = str(error["ctx"]["error"])
        case "extra_forbidden":
            is_key = True
            models: dict[int, type[BaseModel]] = {1: Replication, 3: TableRule}  # by their depth in the file
            known = sorted(models.get(len(place), FieldRule).model_fields)
            message = (
                f"there is no such setting{did_you_mean(place[-1], known)}; there are {', '.join(known)}"
            )
        case "enum":
            known = re.findall(r"'([^']*)'", error["ctx"]["expected"])
            given = str(error["input"])[:50]
            message = f"{given!r} is not known here{did_you_mean(given, known)}; there are {', '.join(known)}"
        case kind:
            message = _EXPECTED.get(kind, error["msg"])
    yield Mistake(setting or "the file", message, *yaml.position(place, of_key=is_key))
