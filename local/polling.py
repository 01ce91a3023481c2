"""Waiting for a condition by polling."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

from local.errors import StackError

T = TypeVar("T")

POLL_INTERVAL_S: Final = 0.05


def wait_until(condition: Callable[[], T | None], *, timeout_s: float, what: str) -> T:
    """Call the condition every 50 ms until it returns something true, and return that.

    Args:
        condition: What to wait for.
        timeout_s: Seconds until this gives up.
        what: The words for it in the message, after "for".

    Raises:
        StackError: The condition did not hold in time.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        if value := condition():
            return value
        if time.monotonic() >= deadline:
            raise StackError(f"Waited {timeout_s:g} s in vain for {what}.")
        time.sleep(POLL_INTERVAL_S)
