"""The images, built once for all tests that look at them or run them."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.image import base
from tests.image.compose import PIPELINE, WRITER, Compose
from tests.image.engine import Engine
from tests.support import tools

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAMS = ("mmdebstrap", "buildah", "podman", "runc", "netavark", "aardvark-dns", "iptables", "ip", "npm")


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """podman, buildah and the base; tests end as `tools.need` says where they cannot be had."""
    tools.need(*PROGRAMS)
    if os.geteuid():
        tools.give_up("containers with networks of their own need root: sudo make test-image")
    with Engine() as engine:
        base.build(engine)
        yield engine


@pytest.fixture(scope="session")
def compose(engine: Engine) -> Compose:
    """compose.yaml, with both images built."""
    compose = Compose(engine)
    compose.build()
    return compose


@pytest.fixture(scope="session")
def writer_image(compose: Compose, engine: Engine) -> dict[str, Any]:  # noqa: ARG001 - it builds the image
    """What podman knows of the writer's image."""
    (found,) = json.loads(engine.podman("image", "inspect", WRITER))
    return dict(found)


@pytest.fixture(scope="session")
def pipeline_image(compose: Compose, engine: Engine) -> dict[str, Any]:  # noqa: ARG001 - it builds the image
    """What podman knows of the image that deploys the pipeline."""
    (found,) = json.loads(engine.podman("image", "inspect", PIPELINE))
    return dict(found)
