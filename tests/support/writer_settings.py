"""The settings of a writer process that drains a test's queues."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from local.stack import Stack
    from tests.conftest import Queues


def writer_settings(stack: Stack, queues: Queues, database: str) -> dict[str, str]:
    """Without those that AWS clients need; the status port is a free one."""
    return {
        "QUEUE_URL": queues.url,
        "DEAD_LETTER_QUEUE_URL": queues.dead_letter_url,
        "MONGODB_URI": stack.mongodb_uri,
        "MONGODB_DATABASE": database,
        "STATUS_HOST": "127.0.0.1",
        "STATUS_PORT": "0",
    }
