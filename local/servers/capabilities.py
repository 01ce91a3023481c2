"""What the AWS emulators cannot do for the pipeline, as observed (docs/decisions/0005 and 0007). Pure.

A test names the capability that it needs. Where that is missing, pytest reports the reason: no test is
skipped silently.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Capabilities:
    """Each field is None where the emulator behaves as AWS does; otherwise it says what is different."""

    partial_batches: str | None = None
    """A function on a stream reports from which record to retry (`batchItemFailures`)."""
    number_keys: str | None = None
    """Numbers in keys are normalised: 1.50 and 1.5 are one item."""
    log_groups: str | None = None
    """A function logs to its configured log group."""
    template_loops: str | None = None
    """A template can loop over a list (`Fn::ForEach`), with names that contain its entries (`&{…}`)."""
    composed_alarms: str | None = None
    """A template can make alarms over several metrics (metric math)."""
    dashboards: str | None = None
    """A template makes a dashboard of CloudWatch."""
    template_rules: str | None = None
    """Parameters are checked by a template's rules before anything is made."""
    mapping_updates: str | None = None
    """A stack update can change the numbers of an event source mapping."""
    mapping_restarts: str | None = None
    """An event source mapping that was changed, or turned on again, stays on."""
    retained_queues: str | None = None
    """A queue that the template retains (`DeletionPolicy`) stays when its stack is deleted."""
    writer_service: str | None = None
    """The service of deploy/writer.yaml can be deployed."""


LOCALSTACK: Final = Capabilities(
    log_groups="LocalStack writes a function's log to /aws/lambda/NAME, whichever group it was given",
    template_loops="LocalStack 4.9.2 knows no &{…} in Fn::ForEach",
    dashboards="LocalStack 4.9.2 makes no dashboard of a template",
    template_rules="LocalStack does not look at the Rules of a template",
    mapping_restarts="LocalStack writes Disabled when the old reader of a changed mapping ends, often last",
    retained_queues="LocalStack deletes the queues with the stack, whatever the template says",
    writer_service="LocalStack has ECS for its customers only",
)
MINISTACK: Final = Capabilities(
    partial_batches="MiniStack takes a batch whose function reports failures for done",
    composed_alarms="MiniStack 1.5.33 has no alarms over metric math",
    mapping_updates="MiniStack takes the changed number for a text, and stops reading the stream",
    number_keys="MiniStack compares the keys of items as they are written",
)
