"""The queues on which `replicator dlq` is tested, and somebody else who looks at them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ops.aws import Aws
from ops.queues.queue_browser import QueueBrowser
from tests.support.dead_letter_queue import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.stack import Stack
    from tests.conftest import Queues


@pytest.fixture
def world(
    stack: Stack,
    queues: Queues,
    aws_environment: None,  # noqa: ARG001 - needed for its effect
    monkeypatch: pytest.MonkeyPatch,
) -> World:
    """The queues, named as they are for the writer."""
    monkeypatch.setenv("QUEUE_URL", queues.url)
    monkeypatch.setenv("DEAD_LETTER_QUEUE_URL", queues.dead_letter_url)
    monkeypatch.setattr("ops.queues.queue_browser.WAIT_SECONDS", 0)  # the emulator overlooks nothing
    for name in ("REPLICATOR_STACK", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return World(stack, queues)


@pytest.fixture
def held(world: World) -> Iterator[QueueBrowser]:
    """Somebody else, who looks at the same dead letters."""
    with QueueBrowser(Aws().sqs, world.queues.dead_letter_url) as held:
        yield held
