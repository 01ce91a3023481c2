"""Rules for fields, applied to one document: include, exclude, drop, convert, default, rename. Pure.

Paths go into maps and, like MongoDB's, through lists: `lines.price` is the price in each map of the list
`lines`. Missing maps are not created: a default needs the map that it goes into.
"""

import copy
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from shared.errors import PoisonError
from writer.mapping.bson_values import Numbers
from writer.mapping.conversions import convert
from writer.mapping.model import FieldRule
from writer.mapping.paths import Path, parse_path

_OF_GLOBAL_TABLES: Final = ("aws:rep:deleting", "aws:rep:updateregion", "aws:rep:updatetime")
"""What global tables of version 2017.11.29 add to every item (AWS, "DynamoDB global tables versions")."""


@dataclass(slots=True)
class _Node:
    """What happens at one name, and below it."""

    rule: FieldRule | None = None
    path: str = ""
    dropped: bool = False
    included: bool = False
    children: dict[str, "_Node"] = field(default_factory=dict)

    def at(self, path: Path) -> "_Node":
        node = self
        for name in path:
            node = node.children.setdefault(name, _Node())
        return node


class Fields:
    """The field rules of one table, ready to be applied."""

    def __init__(
        self,
        rules: Mapping[str, FieldRule],
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        *,
        numbers: Numbers,
    ) -> None:
        self._numbers = numbers
        self._include = _Node()
        for text in include:
            self._include.at(parse_path(text)).included = True
        self._rules = _Node()
        for text in exclude:
            self._rules.at(parse_path(text)).dropped = True
        for text, rule in rules.items():
            node = self._rules.at(parse_path(text))
            node.rule, node.path, node.dropped = rule, text, rule.drop
        wanted = {*self._include.children, *self._rules.children}
        self._left_out = tuple(name for name in _OF_GLOBAL_TABLES if name not in wanted)

    def apply(self, document: Mapping[str, Any]) -> Mapping[str, Any]:
        """Returns the document under the rules. The one that is given stays as it is; values are shared.

        Raises:
            PoisonError: ``bad-conversion`` or ``bad-rename``; the text names the field.
        """
        if self._include.children:
            document = _only(self._include, document)
        elif self._left_out and _OF_GLOBAL_TABLES[-1] in document:
            document = {name: value for name, value in document.items() if name not in self._left_out}
        return self._applied(self._rules, document) if self._rules.children else document

    def name_of(self, attribute: str) -> str | None:
        """An attribute's name in the document; None if it is left out."""
        node = self._rules.children.get(attribute)
        if (self._include.children and attribute not in self._include.children) or (node and node.dropped):
            return None
        if attribute in self._left_out:
            return None
        return (node.rule.rename if node is not None and node.rule is not None else None) or attribute

    def attributes_of(self, fields: Collection[str]) -> frozenset[str]:
        """The attributes that become these fields of the document."""
        names = {*fields, *self._rules.children}
        return frozenset(name for name in names if self.name_of(name) in fields)

    def _applied(self, node: _Node, document: Mapping[str, Any]) -> dict[str, Any]:
        result = dict(document)
        renamed: dict[str, Any] = {}
        for name, child in node.children.items():
            rule = child.rule
            if child.dropped:
                result.pop(name, None)
                continue
            if name in result:
                if child.children:
                    result[name] = self._below(child, result[name])
                if rule is not None and rule.convert is not None:
                    result[name] = convert(rule.convert, child.path, result[name], self._numbers)
            elif rule is not None and rule.has_default:
                result[name] = copy.deepcopy(rule.default)
            if rule is not None and rule.rename is not None and name in result:
                renamed[rule.rename] = result.pop(name)
        for name, value in renamed.items():
            if name in result:
                raise PoisonError("bad-rename", f"a field becomes {name[:100]!r}, but the item has that, too")
            result[name] = value
        return result

    def _below(self, node: _Node, value: Any) -> Any:
        if isinstance(value, dict):
            return self._applied(node, value)
        if isinstance(value, list):
            return [self._below(node, element) for element in value]
        return value


def _only(node: _Node, document: Mapping[str, Any]) -> dict[str, Any]:
    """What is included; where only paths below a name are, values that are no maps are left out."""
    result = {}
    for name, child in node.children.items():
        if name in document:
            value = document[name]
            if child.included or isinstance(value, dict | list):
                result[name] = _only_below(child, value)
    return result


def _only_below(node: _Node, value: Any) -> Any:
    if node.included:
        return value
    if isinstance(value, dict):
        return _only(node, value)
    return [_only_below(node, element) for element in value if isinstance(element, dict | list)]
