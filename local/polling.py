"""Waiting for a condition by polling."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

from local.errors import StackError

T = TypeVar("T")

POLL_INTERVAL_S: Final = 0.05
HANG_TIMEOUT_S: Final = 120.0
"""The one bound for all waiting. What takes longer hangs: no machine is that slow, or that busy."""


def wait_until(condition: Callable[[], T | None], *, what: str, timeout_s: float = HANG_TIMEOUT_S) -> T:
    """Call the condition every 50 ms until it returns something true, and return that.

    Args:
        condition: What to wait for.
        what: The words for it in the message, after "for".
        timeout_s: Seconds until this gives up.

    Raises:
        StackError: The condition did not hold in time.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        if value := condition():
            return value
        if time.monotonic() >= deadline:
            raise StackError(f"Waited {timeout_s:g} s for {what}, and gave up.")
        time.sleep(POLL_INTERVAL_S)
