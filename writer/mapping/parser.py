"""The text of `replication.yaml` → its model, or all mistakes at once in words of the file. Pure.

YAML is read safely, and nothing is guessed: a key that is there twice is a mistake.
"""

import difflib
from collections.abc import Iterator
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from shared.nesting import MAX_LEVELS
from writer.mapping.model import FieldRule, Replication, TableRule
from writer.mapping.problems import MappingError, Problems

_MERGE_KEY = "tag:yaml.org,2002:merge"

_EXPECTED = {
    "bool_type": "only true or false can stand here",
    "dict_type": "settings, each as `name: value`, are expected here; write {} for none",
    "model_type": "settings, each as `name: value`, are expected here; write {} for none",
    "string_pattern_mismatch": "a hook is written as module:function",  # only hooks have a pattern
    "string_too_short": "it is empty",
    "string_type": "a text is expected here; YAML takes words such as on, yes, null or 12 for something else "
    "unless they are in quotes",
    "too_long": "at most two key attributes can stand here",  # only the key has a limit
    "tuple_type": "a list is expected here, such as [id]",
}
"""Instead of what pydantic says in terms of Python."""


def parse_replication(text: str, source: str) -> Replication:
    """Reads the text of a `replication.yaml`.

    Args:
        text: the file's content.
        source: its name, for messages.

    Raises:
        MappingError: not YAML, or not of the model.
    """
    try:
        _check_nesting(text)
        content = yaml.load(text, _Loader)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, ValueError, TypeError) as error:  # ValueError: 2020-13-45
        raise MappingError([f"this is not YAML: {_yaml_problem(error)}"], source) from error
    try:
        return Replication.model_validate(content if content is not None else {})
    except ValidationError as error:
        problems = error.errors(include_url=False)
        raise MappingError((text for problem in problems for text in _mistakes(problem)), source) from error


class _Loader(yaml.SafeLoader):
    """Refuses duplicate keys: PyYAML's own loader would drop the first one."""


def _check_nesting(text: str) -> None:
    """Refuses what is nested too deep, before PyYAML builds it by calling itself."""
    levels = 0
    for event in yaml.parse(text, _Loader):
        levels += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if levels > MAX_LEVELS:
            raise ValueError("it is nested too deep")


def _construct_mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen = set()
    for key_node, _ in node.value:  # before a merge key (<<) adds its own, which may be overridden
        if key_node.tag == _MERGE_KEY:
            continue
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            continue  # the model refuses it
        if key in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"{key!r} is there twice", key_node.start_mark
            )
        seen.add(key)
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _construct_mapping)


def _yaml_problem(error: Exception) -> str:
    """The YAML parser's words in one line."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"
    return " ".join(str(error).split())


def _mistakes(problem: ErrorDetails) -> Iterator[str]:
    """What the model found wrong in one place."""
    place = [str(part) for part in problem["loc"] if part != "[key]"]
    match problem["type"]:
        case "value_error" if isinstance(several := problem["ctx"]["error"], Problems):
            for text in several.texts:
                yield f"{'.'.join(place) or 'tables'}: {text}"
            return
        case "value_error":
            message = str(problem["ctx"]["error"])
        case "extra_forbidden":
            models: dict[int, type[BaseModel]] = {1: Replication, 3: TableRule}  # by their depth in the file
            known = sorted(models.get(len(place), FieldRule).model_fields)
            close = difflib.get_close_matches(place[-1], known, n=1)
            guess = f" (did you mean {close[0]}?)" if close else ""
            message = f"there is no such setting{guess}; there are {', '.join(known)}"
        case kind:
            message = _EXPECTED.get(kind, problem["msg"])
    yield f"{'.'.join(place) or 'the file'}: {message}"
