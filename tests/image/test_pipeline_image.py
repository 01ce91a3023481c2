"""The image that deploys the pipeline in compose.yaml."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.image.compose import PIPELINE
from tests.support import images

if TYPE_CHECKING:
    from tests.image.engine import Engine


def test_it_has_the_lambda_for_its_machine(engine: Engine, pipeline_image: dict[str, Any]) -> None:
    """As the Dockerfile says, by a user without rights, who may write only where the volume is."""
    by_name = {each.name: each for each in images.instructions(images.PIPELINE)}
    config = pipeline_image["Config"]
    assert config["User"] == by_name["USER"].value
    assert config["Entrypoint"] + config["Cmd"] == by_name["ENTRYPOINT"].exec_form + by_name["CMD"].exec_form
    look = (
        "import glob, os, zipfile; names = zipfile.ZipFile('producer.zip').namelist();"
        "print('producer_lambda/handler.py' in names, any('x86_64' in n or 'aarch64' in n for n in names),"
        "[each for each in ('/app', '/pipeline') if os.access(each, os.W_OK)])"
    )
    seen = engine.podman("run", "--rm", "--network=none", "--entrypoint=python", PIPELINE, "-c", look)
    assert seen == "True True ['/pipeline']"
