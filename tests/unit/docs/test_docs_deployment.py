"""The commands of docs/deployment.md as far as they can be checked without AWS."""

import re
import subprocess
from typing import Any, Final

import botocore.session
import pytest

from local import paths
from local.pipeline.templates import load

TEXT: Final = (paths.ROOT / "docs" / "deployment.md").read_text()
BLOCKS: Final = re.findall(r"^```sh\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
PIPELINE: Final = load((paths.ROOT / "deploy" / "pipeline.yaml").read_text())
WRITER: Final = load((paths.ROOT / "deploy" / "writer.yaml").read_text())
NAMES: Final = re.compile(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)+)(?:=[^`]*)?`")
BY_HAND: Final = re.compile(r"^## A mapping made by hand$.*?(?=^## )", re.DOTALL | re.MULTILINE)


def overrides(template: str) -> set[str]:
    """The parameters that the page gives a template."""
    (command,) = [
        command
        for block in BLOCKS
        for command in block.replace("\\\n", " ").splitlines()
        if f"--template-file deploy/{template}" in command
    ]
    return set(re.findall(r"\b(\w+)=", command.partition("--parameter-overrides")[2]))


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_a_shell_reads_every_command(number: int) -> None:
    """What is copied and pasted is at least shell."""
    result = subprocess.run(
        ["/bin/bash", "-n"], input=BLOCKS[number], text=True, capture_output=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(("name", "template"), [("pipeline.yaml", PIPELINE), ("writer.yaml", WRITER)])
def test_the_first_deployment_gives_what_is_required(name: str, template: dict[str, Any]) -> None:
    """Nobody is asked for a parameter by CloudFormation that the page did not name, and none is invented."""
    parameters = template["Parameters"]
    required = {key for key, parameter in parameters.items() if "Default" not in parameter}
    assert required <= overrides(name) <= parameters.keys()


def test_outputs_that_the_page_reads_exist() -> None:
    """Those of the first stack, as parameters of the second."""
    read = set(re.findall(r"\$\(output (\w+)\)", TEXT))
    assert read
    assert read <= PIPELINE["Outputs"].keys()
    assert read <= WRITER["Parameters"].keys()


def test_parameters_that_the_page_speaks_of_exist() -> None:
    """Also in its tables and sentences."""
    sections = ("Parameters", "Resources", "Outputs")
    known = {name for each in (PIPELINE, WRITER) for section in sections for name in each[section]}
    assert set(NAMES.findall(BY_HAND.sub("", TEXT))) <= known


def test_settings_of_a_mapping_exist() -> None:
    """As Lambda's API calls them."""
    (section,) = BY_HAND.findall(TEXT)
    api = botocore.session.get_session().get_service_model("lambda")
    shape: Any = api.shape_for("EventSourceMappingConfiguration")
    assert set(NAMES.findall(section)) <= {*shape.members, "ReportBatchItemFailures"}


@pytest.mark.parametrize("template", [PIPELINE, WRITER], ids=["pipeline", "writer"])
def test_every_parameter_says_what_it_is_and_is_grouped(template: dict[str, Any]) -> None:
    """The console asks for them in these groups, with these descriptions."""
    groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [name for group in groups for name in group["Parameters"]]
    assert sorted(grouped) == sorted(template["Parameters"])
    obvious = {"LogLevel"}
    assert all("Description" in each for name, each in template["Parameters"].items() if name not in obvious)
