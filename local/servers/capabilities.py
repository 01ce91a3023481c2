"""What the AWS emulators can do of what the pipeline relies on, as seen (docs/decisions/0005 and 0007). Pure.

A test that needs something says so, and where it cannot run the reason is reported: none is skipped silently.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Capabilities:
    """Each one is None where the emulator behaves as AWS does, and otherwise says how it does not."""

    partial_batches: str | None = None
    """A function behind a stream reports the records from which on to retry (`batchItemFailures`)."""
    number_keys: str | None = None
    """Numbers in keys are normalised: 1.50 and 1.5 are one item."""
    log_groups: str | None = None
    """A function logs to the group that it was given."""
    template_loops: str | None = None
    """A template may loop over a list (`Fn::ForEach`), with names made of its entries (`&{…}`)."""
    mapping_updates: str | None = None
    """The numbers of an event source mapping change with an update of its stack."""
    retained_queues: str | None = None
    """A queue that the template retains stays when its stack is deleted."""
    writer_service: str | None = None
    """The service of deploy/writer.yaml can be deployed."""


LOCALSTACK: Final = Capabilities(
    log_groups="LocalStack writes a function's log to /aws/lambda/NAME, whichever group it was given",
    template_loops="LocalStack 4.9.2 knows no &{…} in Fn::ForEach",
    retained_queues="LocalStack deletes the queues with the stack, whatever the template says",
    writer_service="LocalStack has ECS for its customers only",
)
MINISTACK: Final = Capabilities(
    partial_batches="MiniStack takes a batch whose function reports failures for done",
    mapping_updates="MiniStack takes the changed number for a text, and stops reading the stream",
    number_keys="MiniStack compares the keys of items as they are written",
)
