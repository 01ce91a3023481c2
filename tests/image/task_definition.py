"""The container of deploy/writer.yaml's task definition, with what CloudFormation puts in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.paths import ROOT
from local.pipeline import templates

if TYPE_CHECKING:
    from collections.abc import Mapping

_TEMPLATE = templates.load((ROOT / "deploy" / "writer.yaml").read_text(encoding="utf-8"))


def container() -> dict[str, Any]:
    """Its definition, as the template has it."""
    (only,) = _TEMPLATE["Resources"]["TaskDefinition"]["Properties"]["ContainerDefinitions"]
    return dict(only)


def environment(parameters: Mapping[str, str], secrets: Mapping[str, str]) -> dict[str, str]:
    """The environment that ECS gives it.

    Args:
        parameters: The stack's parameters that have no default, and AWS::Region.
        secrets: What is in the secrets, by the name of the variable.
    """
    defaults = {name: str(each.get("Default", "")) for name, each in _TEMPLATE["Parameters"].items()}
    values = defaults | dict(parameters)
    settings = [_chosen(each, values) for each in container()["Environment"]]
    assert {each["Name"] for each in container()["Secrets"]} == set(secrets)
    return {each["Name"]: _resolved(each["Value"], values) for each in settings if each} | dict(secrets)


def _chosen(entry: dict[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """An entry, or the branch of its condition; that is always "HasX": the parameter X is not empty."""
    if "Fn::If" not in entry:
        return entry
    condition, there, otherwise = entry["Fn::If"]
    branch = there if values[condition.removeprefix("Has")] else otherwise
    return {} if branch == {"Ref": "AWS::NoValue"} else branch


def _resolved(value: Any, values: Mapping[str, str]) -> str:
    match value:
        case {"Ref": name}:
            return values[str(name)]
        case {"Fn::Select": [index, {"Fn::Split": [separator, text]}]}:
            return _resolved(text, values).split(str(separator))[int(index)]
        case _:
            return str(value)
