"""Work in a thread while the test breaks things. What the thread raises, the test raises, too."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from local.polling import HANG_TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import Callable

_IDLE_SECONDS = 0.02


class Background:
    """Calls a step repeatedly until it is stopped."""

    def __init__(self, name: str, step: Callable[[], bool], *, finish: Callable[[], None]) -> None:
        """Start.

        Args:
            name: What it does, for messages.
            step: Returns whether there was anything to do; if not, the thread pauses briefly.
            finish: Called at the end, in the same thread.
        """
        self.name = name
        self._step = step
        self._finish = finish
        self._stopping = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            try:
                while not self._stopping.is_set():
                    if not self._step():
                        self._stopping.wait(_IDLE_SECONDS)
            finally:
                self._finish()
        except BaseException as error:  # noqa: BLE001 - `check` and `stop` raise it in the test
            self._error = error

    def check(self) -> None:
        """Do nothing if all is well; otherwise raise what the thread raised."""
        if self._error is not None:
            raise self._error

    def end(self) -> None:
        """Stop after the current step; raise nothing."""
        self._stopping.set()
        self._thread.join(HANG_TIMEOUT_S)

    def stop(self) -> None:
        """Stop after the current step, and raise what the thread raised."""
        self.end()
        self.check()
        assert not self._thread.is_alive(), f"{self.name} does not end"
