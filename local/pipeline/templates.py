"""CloudFormation templates as data, for emulators that do not take all of what AWS takes. Pure.

Production deploys the templates as they are. An emulator that cannot take one is given it with that much
changed, and `local.servers.capabilities` says why.
"""

import copy
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

Template = dict[str, Any]

_LOOP = "Fn::ForEach::"


class _Loader(yaml.SafeLoader):
    """Reads the short forms of intrinsic functions as their long forms."""


def _long_form(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        text = str(loader.construct_scalar(node))
        return {name: text.split(".", 1) if suffix == "GetAtt" else text}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    return {name: loader.construct_mapping(node, deep=True)}  # type: ignore[arg-type]  # the third kind of node


_Loader.add_multi_constructor("!", _long_form)


def load(text: str) -> Template:
    """Reads a template; `!Ref a` becomes ``{"Ref": "a"}``, and so on."""
    template: Template = yaml.load(text, _Loader)  # noqa: S506 - a safe loader with more tags
    version = template.get("AWSTemplateFormatVersion")
    return template | ({"AWSTemplateFormatVersion": str(version)} if version else {})


def without_loops(template: Template, lists: Mapping[str, Sequence[str]]) -> Template:
    """The template with each `Fn::ForEach` of its resources written out, and without the transform.

    Args:
        template: as `load` reads it.
        lists: values of the parameters that loops run over.
    """
    resources: dict[str, Any] = {}
    for name, resource in template["Resources"].items():
        if not name.startswith(_LOOP):
            resources[name] = resource
            continue
        identifier, collection, fragment = resource
        for value in lists[collection["Ref"]]:
            for key, body in fragment.items():
                short = re.sub(r"[^A-Za-z0-9]", "", value)
                resources[key.replace(f"&{{{identifier}}}", short)] = _with_value(body, identifier, value)
    return {key: value for key, value in template.items() if key != "Transform"} | {"Resources": resources}


def without_types(template: Template, prefix: str) -> tuple[Template, list[str]]:
    """The template without the resources whose type begins so, and without alarm actions that name them.

    Returns:
        The template, and the names of what was taken out.
    """
    resources: dict[str, Any] = copy.deepcopy(template["Resources"])
    gone = [name for name, resource in resources.items() if str(resource.get("Type", "")).startswith(prefix)]
    kept = {name: resource for name, resource in resources.items() if name not in gone}
    for resource in kept.values():
        actions = resource.get("Properties", {}).get("AlarmActions")
        if isinstance(actions, list):
            named = [action for action in actions if action.get("Ref") not in gone]
            resource["Properties"]["AlarmActions"] = named
    return template | {"Resources": kept}, gone


def _with_value(body: Any, identifier: str, value: str) -> Any:
    if body == {"Ref": identifier}:
        return value
    if isinstance(body, dict):
        return {key: _with_value(each, identifier, value) for key, each in body.items()}
    if isinstance(body, list):
        return [_with_value(each, identifier, value) for each in body]
    return body
