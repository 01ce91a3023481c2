"""CloudFormation templates as data, for emulators that do not accept everything that AWS accepts. Pure.

Production deploys the templates as they are. An emulator that does not accept one gets it without the part
that it does not know; `local.servers.capabilities` has the reasons.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

Template = dict[str, Any]

_LOOP = "Fn::ForEach::"


class _Loader(yaml.SafeLoader):
    """A loader that reads the short forms of intrinsic functions as their long forms."""


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
    """Parse a template; `!Ref a` becomes ``{"Ref": "a"}``, and so on."""
    template: Template = yaml.load(text, _Loader)  # noqa: S506 - a safe loader with more tags
    version = template.get("AWSTemplateFormatVersion")
    return template | ({"AWSTemplateFormatVersion": str(version)} if version else {})


def without_loops(template: Template, lists: Mapping[str, Sequence[str]]) -> Template:
    """The template with each `Fn::ForEach` of its resources expanded, and without the transform.

    Args:
        template: As `load` reads it.
        lists: The lists that its loops run over, by the names of their parameters.
    """
    resources: dict[str, Any] = {}
    for name, resource in template["Resources"].items():
        if not name.startswith(_LOOP):
            resources[name] = resource
            continue
        identifier, collection, fragment = resource
        reference = json.dumps({"Ref": identifier})
        for value in lists[collection["Ref"]]:
            for key, body in fragment.items():
                short = re.sub(r"[^A-Za-z0-9]", "", value)
                expanded = json.dumps(body).replace(reference, json.dumps(value))
                resources[key.replace(f"&{{{identifier}}}", short)] = json.loads(expanded)
    return {key: value for key, value in template.items() if key != "Transform"} | {"Resources": resources}


def without_composed_alarms(template: Template) -> Template:
    """The template without alarms over several metrics, also in its loops."""
    resources: dict[str, Any] = {}
    for name, resource in template["Resources"].items():
        if name.startswith(_LOOP):
            identifier, collection, fragment = resource
            kept = {key: body for key, body in fragment.items() if not _is_composed_alarm(body)}
            resources[name] = [identifier, collection, kept]
        elif not _is_composed_alarm(resource):
            resources[name] = resource
    return template | {"Resources": resources}


def _is_composed_alarm(resource: Any) -> bool:
    return resource["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in resource["Properties"]
