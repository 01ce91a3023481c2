"""docs/other-tools.md: Terraform, the CDK and GitHub Actions give the templates what they need.

The lines of the workflow run in tests/e2e/commands/test_docs_shells.py.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import hcl2
import pytest

from local.paths import ROOT
from local.pipeline.templates import load
from local.polling import HANG_TIMEOUT_S
from tests.support.shown_lines import fenced
from tests.support.tools import find, need

PAGE: Final = "docs/other-tools.md"
PIPELINE: Final = load((ROOT / "deploy" / "pipeline.yaml").read_text())
WRITER: Final = load((ROOT / "deploy" / "writer.yaml").read_text())
OUTPUT: Final = re.compile(r'aws_cloudformation_stack\.pipeline\.outputs\["(\w+)"\]')


def unquoted(value: Any) -> Any:
    """Names and texts as they are meant: the parser keeps their quotes."""
    if isinstance(value, dict):
        return {unquoted(key): unquoted(each) for key, each in value.items()}
    if isinstance(value, list):
        return [unquoted(each) for each in value]
    return value.strip('"') if isinstance(value, str) else value


def stacks_of_terraform() -> dict[str, Any]:
    """The two stacks, by their names in the block."""
    (block,) = fenced(PAGE, "hcl")
    resources = unquoted(hcl2.loads(block))["resource"]
    return {
        name: stack for each in resources for name, stack in each.get("aws_cloudformation_stack", {}).items()
    }


@pytest.mark.parametrize(("name", "template"), [("pipeline", PIPELINE), ("writer", WRITER)])
def test_terraform_gives_a_template_what_it_asks_for(name: str, template: dict[str, Any]) -> None:
    """It parses; each parameter exists, none that is required is missing, and the file is the template's."""
    stack = stacks_of_terraform()[name]
    required = {key for key, parameter in template["Parameters"].items() if "Default" not in parameter}
    assert required <= stack["parameters"].keys() <= template["Parameters"].keys()
    assert stack["template_body"] == f'${{file("${{path.module}}/replicator/deploy/{name}.yaml")}}'
    assert "CAPABILITY_IAM" in stack["capabilities"]
    assert ("CAPABILITY_AUTO_EXPAND" in stack["capabilities"]) == ("Transform" in template)


def test_terraform_reads_outputs_that_there_are() -> None:
    """Each goes into the parameter of its name."""
    values = stacks_of_terraform()["writer"]["parameters"]
    read = {key: match[1] for key, value in values.items() if (match := OUTPUT.search(str(value)))}
    assert read
    assert set(read.values()) <= PIPELINE["Outputs"].keys()
    assert all(key == output for key, output in read.items())


@pytest.fixture(scope="module")
def synthesised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the CDK makes of the block, without any network: a proxy that nobody runs is in its way."""
    need("cdk", "npm")
    folder = tmp_path_factory.mktemp("cdk")
    checkout = folder / "replicator"
    (checkout / "build").mkdir(parents=True)
    (checkout / "build" / "producer.zip").write_bytes(b"a package")
    (checkout / "deploy").symlink_to(ROOT / "deploy")
    (block,) = fenced(PAGE, "python")
    (folder / "app.py").write_text(block)
    nowhere = "http://127.0.0.1:9"
    done = subprocess.run(  # noqa: S603 - what the page shows
        [find("cdk") or sys.executable, "app.py"],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "CDK_OUTDIR": str(folder / "out"),
            "HTTPS_PROXY": nowhere,
            "HTTP_PROXY": nowhere,
            "JSII_RUNTIME_PACKAGE_CACHE": "disabled",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_TIMEOUT_S,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return folder / "out"


def test_the_cdk_deploys_the_pipeline_as_it_is(synthesised: Path) -> None:
    """The nested stack's template is the file, to the byte, and gets what it requires."""
    template = json.loads((synthesised / "replicator.template.json").read_text())
    stacks = [each for each in template["Resources"].values() if each["Type"] == "AWS::CloudFormation::Stack"]
    (parameters,) = [each["Properties"]["Parameters"] for each in stacks]
    required = {key for key, each in PIPELINE["Parameters"].items() if "Default" not in each}
    assert required <= parameters.keys() <= PIPELINE["Parameters"].keys()
    assets = [path.read_bytes() for path in synthesised.glob("asset.*.yaml")]
    assert assets == [(ROOT / "deploy" / "pipeline.yaml").read_bytes()]


def test_the_cdk_includes_the_writers(synthesised: Path) -> None:
    """All resources of the template, with the values that are given in the place of its parameters."""
    template = json.loads((synthesised / "replicator.template.json").read_text())
    types = {name: each["Type"] for name, each in template["Resources"].items()}
    assert {name: each["Type"] for name, each in WRITER["Resources"].items()}.items() <= types.items()
    left = {name for name, each in template["Parameters"].items() if "Default" not in each}
    assert left == set()
    assert "Outputs.QueueUrl" in json.dumps(template["Resources"]["TaskDefinition"])


def test_the_workflow_is_one(tmp_path: Path) -> None:
    """By the schema of GitHub's workflows, which the checker brings; another word in it is refused."""
    (block,) = fenced(PAGE, "yaml")
    for text, status in ((block, 0), (block.replace("runs-on", "runs-at"), 1)):
        file = tmp_path / "deploy.yml"
        file.write_text(text)
        program = Path(sys.executable).with_name("check-jsonschema")
        done = subprocess.run(  # noqa: S603 - a tool of ours
            [program, "--builtin-schema", "vendor.github-workflows", file],
            capture_output=True,
            text=True,
            check=False,
            timeout=HANG_TIMEOUT_S,
        )
        assert done.returncode == status, done.stdout


def test_the_trust_of_the_role() -> None:
    """One environment of one repository, and no wildcard."""
    (block,) = fenced(PAGE, "json")
    (statement,) = json.loads(block)["Statement"]
    conditions = statement["Condition"]["StringEquals"]
    host = "token.actions.githubusercontent.com"
    assert conditions.keys() == {f"{host}:aud", f"{host}:sub"}
    assert "*" not in json.dumps(conditions)
