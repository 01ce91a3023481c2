"""The real Lambda function in this process: its environment is that of the process."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from producer_lambda import handler

LONGEST_INVOCATION_S = 900.0
"""AWS Lambda developer guide, "Lambda quotas": for what is to be done in one invocation on any machine."""


@dataclass
class Deadline:
    """Lambda's context object: the time that an invocation has left."""

    seconds: float
    _start: float = field(default_factory=time.monotonic)

    def get_remaining_time_in_millis(self) -> int:
        """See `producer_lambda.handler.Context`."""
        return round((self._start + self.seconds - time.monotonic()) * 1000)


def end_execution_environment() -> None:
    """Ends the function's environment, as Lambda does with its process; the next invocation makes one."""
    if handler._runtime:  # noqa: SLF001
        handler._runtime.close()  # noqa: SLF001
        handler._runtime = None  # noqa: SLF001
