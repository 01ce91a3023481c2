"""Where dead letters are: in a queue, or in MongoDB."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ops.pipeline import find_pipeline
from ops.queues.queue_browser import QueueBrowser, letters_in
from ops.queues.stored_letters import StoredLetters

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.aws import Aws
    from ops.pipeline import Pipeline


@dataclass(frozen=True, slots=True)
class Place:
    """In MongoDB, or in the queue that the other options name."""

    aws: Aws
    stack: str
    parts: Pipeline
    in_mongodb: bool
    uri: str = field(repr=False)
    database: str

    @contextmanager
    def open(self) -> Iterator[tuple[QueueBrowser | StoredLetters, int]]:
        """The letters, and about how many there are."""
        if self.in_mongodb:
            with StoredLetters(self.uri, self.database) as letters:
                yield letters, letters.count()
            return
        url = find_pipeline(self.aws, self.stack, self.parts).dead_letter_queue
        expected = letters_in(self.aws.sqs, url)
        with QueueBrowser(self.aws.sqs, url) as browser:
            yield browser, expected
