"""The policies of the roles in templates, as files that a linter of IAM policies reads.

`python -m tests.support.policies FOLDER TEMPLATE…` writes one file for each policy: `make lint` hands them to
parliament, which knows each service's actions, and which resources they take. In the place of parameters and
resources there are examples.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from local.pipeline.templates import load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.pipeline.templates import Template

_HERE: Final = "eu-west-1:123456789012"
_STREAM: Final = (
    f"arn:aws:dynamodb:{_HERE}:table/orders/stream/2020-04-30T17"  # parliament knows no more colons
)
_KEY: Final = f"arn:aws:kms:{_HERE}:key/example"
_PARAMETERS: Final[dict[str, Any]] = {
    "TableStreamArns": [_STREAM],
    "TableKmsKeyArns": f"{_KEY},{_KEY}-2",
    "KmsKeyArn": _KEY,
    "SecretKmsKeyArn": _KEY,
    "FailureQueueArn": f"arn:aws:sqs:{_HERE}:failures",
    "QueueArn": f"arn:aws:sqs:{_HERE}:queue.fifo",
    "DeadLetterQueueArn": f"arn:aws:sqs:{_HERE}:dead.fifo",
    "MongoDbUriSecretArn": f"arn:aws:secretsmanager:{_HERE}:secret:mongodb-uri-AbCdEf",
    "ImageRepositoryArn": f"arn:aws:ecr:{_HERE}:repository/writer",
}
_ARNS: Final = {
    "AWS::SQS::Queue": f"arn:aws:sqs:{_HERE}:queue.fifo",
    "AWS::Logs::LogGroup": f"arn:aws:logs:{_HERE}:log-group:group:*",
}
_NOTHING: Final = {"Ref": "AWS::NoValue"}


def policies_of(template: Template) -> Iterator[tuple[str, dict[str, Any]]]:
    """The names of roles, each with a policy: all statements that it can have."""
    for name, resource in template["Resources"].items():
        if isinstance(resource, dict) and resource["Type"] == "AWS::IAM::Role":
            for policy in resource["Properties"]["Policies"]:
                yield name, _filled(policy["PolicyDocument"], template)


def _filled(part: Any, template: Template) -> Any:
    if isinstance(part, list):
        return [_filled(each, template) for each in part if each != _NOTHING]
    if not isinstance(part, dict):
        return part
    if len(part) == 1:
        ((name, inner),) = part.items()
        if name == "Ref":
            return _PARAMETERS[inner]
        if name == "Fn::If":
            _, chosen, other = inner
            return _filled(other if chosen == _NOTHING else chosen, template)
        if name == "Fn::Split":
            separator, text = inner
            return _filled(text, template).split(separator)
        if name == "Fn::GetAtt":
            resource, _ = inner
            return _ARNS[template["Resources"][resource]["Type"]]
    return {name: _filled(inner, template) for name, inner in part.items()}


def main(folder: Path, *templates: Path) -> None:
    """Writes the files."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in templates:
        for name, policy in policies_of(load(path.read_text(encoding="utf-8"))):
            text = json.dumps(policy, indent=2)
            (folder / f"{path.stem}-{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
