"""YAML text → values, safely and with no choice made: a key that is there twice is an error. Pure."""

from typing import Any

import yaml

_MERGE_KEY = "tag:yaml.org,2002:merge"


class _Loader(yaml.SafeLoader):
    """Refuses a key that is there twice: YAML's own loader forgets the first one."""


def _construct_mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen = set()
    for key_node, _ in node.value:  # before those of a merge key (<<) come in, which may be overridden
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


def load_yaml(text: str) -> Any:
    """Reads a text.

    Raises:
        ValueError: it is not YAML; the text says where, in one line.
    """
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a safe loader
    except (
        yaml.YAMLError,
        ValueError,
        TypeError,
        RecursionError,
    ) as error:  # ValueError: a date like 2020-13-45
        raise ValueError(_place_and_problem(error)) from error


def _place_and_problem(error: Exception) -> str:
    """The parser's words in one line."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"
    return " ".join(str(error).split())
