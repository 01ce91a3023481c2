"""The text of a YAML file → its content, and where in the text each part of it is. Pure.

YAML is read safely, and nothing is guessed: a key that appears twice is a mistake.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from shared.nesting import MAX_LEVELS
from writer.mapping.problems import MappingError, Mistake

if TYPE_CHECKING:
    from collections.abc import Iterator

    from writer.mapping.problems import Place

_MERGE_KEY = "tag:yaml.org,2002:merge"


@dataclass(frozen=True, slots=True)
class YamlText:
    """What was read.

    Attributes:
        content: lists, maps and scalars.
        duplicates: keys that are there twice.
        root: the nodes, which know their places; None: the text is empty.
    """

    content: Any
    duplicates: list[Mistake]
    root: yaml.Node | None

    def position(self, place: Place, *, of_key: bool = False) -> tuple[int, int]:
        """Line and column of the value at a place, or of its key; as much of the place as there is."""
        mark = self.root.start_mark if self.root else None
        node = self.root
        for key, value in _path(node, place):
            is_last = value is not None and not isinstance(value, yaml.CollectionNode)
            mark = value.start_mark if is_last and not of_key else key.start_mark
        return (mark.line + 1, mark.column + 1) if mark else (0, 0)


def read_yaml(text: str) -> YamlText:
    """Reads a text.

    Raises:
        MappingError: it is not YAML.
    """
    try:
        _check_nesting(text)
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
            content = None if root is None else loader.construct_document(root)
            return YamlText(content, loader.duplicates, root)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        at = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        raise MappingError([Mistake("", f"this is not YAML: {error.problem}", *at)]) from error
    except (yaml.YAMLError, ValueError, TypeError) as error:  # ValueError: 2020-13-45
        raise MappingError([Mistake("", f"this is not YAML: {' '.join(str(error).split())}")]) from error


class _Loader(yaml.SafeLoader):
    """Notes duplicate keys: PyYAML's own loader would silently drop the first one."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.duplicates: list[Mistake] = []


def _check_nesting(text: str) -> None:
    """Refuses what is nested too deep, before PyYAML builds it by calling itself."""
    levels = 0
    for event in yaml.parse(text, _Loader):
        levels += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if levels > MAX_LEVELS:
            raise ValueError("it is nested too deep")


def _construct_mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen = set()
    first = []
    for key_node, value_node in node.value:  # before a merge key (<<) adds its own, which may be overridden
        if key_node.tag != _MERGE_KEY:
            key = loader.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:  # the model refuses a key that is no text
                mark = key_node.start_mark
                loader.duplicates.append(
                    Mistake("", f"{key!r} appears twice", mark.line + 1, mark.column + 1)
                )
                continue
            if isinstance(key, str):
                seen.add(key)
        first.append((key_node, value_node))
    node.value = first
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _construct_mapping)


def _path(node: yaml.Node | None, place: Place) -> Iterator[tuple[yaml.Node, yaml.Node]]:
    """The keys and values on the way to a place. The key of a list's element is the element itself."""
    for name in place:
        found: tuple[yaml.Node, yaml.Node] | None = None
        if isinstance(node, yaml.MappingNode):
            found = next((pair for pair in reversed(node.value) if pair[0].value == name), None)
        elif isinstance(node, yaml.SequenceNode) and name.isdecimal() and int(name) < len(node.value):
            found = (node.value[int(name)], node.value[int(name)])
        if found is None:
            return
        yield found
        node = found[1]
