"""The container of deploy/writer.yaml's task definition, with what CloudFormation puts in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.paths import ROOT
from local.pipeline import templates

if TYPE_CHECKING:
    from collections.abc import Mapping

_TEMPLATE = templates.load((ROOT / "deploy" / "writer.yaml").read_text(encoding="utf-8"))
_NO_VALUE = {"Ref": "AWS::NoValue"}


def container() -> dict[str, Any]:
    """Its definition, as the template has it."""
    (only,) = _TEMPLATE["Resources"]["TaskDefinition"]["Properties"]["ContainerDefinitions"]
    return dict(only)


def environment(parameters: Mapping[str, str], secrets: Mapping[str, str]) -> dict[str, str]:
    """The environment that ECS gives it.

    Args:
        parameters: The stack's parameters that are not their defaults, and AWS::Region.
        secrets: What Secrets Manager has, by what `ValueFrom` names.
    """
    defaults = {name: str(each.get("Default", "")) for name, each in _TEMPLATE["Parameters"].items()}
    values = defaults | dict(parameters)
    only = container()
    given = [_resolved(each, values) for each in only["Environment"]]
    read = _resolved(only["Secrets"], values)
    return {each["Name"]: each["Value"] for each in given if each != _NO_VALUE} | {
        each["Name"]: secrets[each["ValueFrom"]] for each in (read if read != _NO_VALUE else [])
    }


def _resolved(value: Any, values: Mapping[str, str]) -> Any:
    match value:
        case {"Ref": "AWS::NoValue"}:
            return value
        case {"Ref": name}:
            return values[str(name)]
        case {"Fn::If": [condition, there, otherwise]}:
            return _resolved(
                there if _holds(_TEMPLATE["Conditions"][condition], values) else otherwise, values
            )
        case {"Fn::Select": [index, {"Fn::Split": [separator, text]}]}:
            return _resolved(text, values).split(str(separator))[int(index)]
        case {"Fn::Sub": str(text)}:
            for name, each in values.items():
                text = text.replace(f"${{{name}}}", each)
            return text
        case dict():
            return {name: _resolved(each, values) for name, each in value.items()}
        case list():
            return [_resolved(each, values) for each in value]
        case _:
            return str(value)


def _holds(condition: Any, values: Mapping[str, str]) -> bool:
    match condition:
        case {"Fn::Not": [inner]}:
            return not _holds(inner, values)
        case {"Fn::Equals": [one, other]}:
            return bool(_resolved(one, values) == _resolved(other, values))
        case _:
            raise ValueError(f"a condition of another form: {condition}")
