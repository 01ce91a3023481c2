"""Work that goes on in a thread while the test breaks things: what it raises is raised in the test, too."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from local.process import HANG_TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import Callable

_IDLE_SECONDS = 0.02


class Background:
    """Calls a step again and again until it is stopped."""

    def __init__(self, name: str, step: Callable[[], bool], *, finish: Callable[[], None]) -> None:
        """Start.

        Args:
            name: What it does, for messages.
            step: Returns whether there was anything to do; if not, it rests for a moment.
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
        except BaseException as error:  # noqa: BLE001 - it is raised again where somebody sees it
            self._error = error

    def check(self) -> None:
        """Do nothing if all is well; raise what the thread raised otherwise."""
        if self._error is not None:
            raise self._error

    def end(self) -> None:
        """Stop after the step that is under way; nothing is raised."""
        self._stopping.set()
        self._thread.join(HANG_TIMEOUT_S)

    def stop(self) -> None:
        """Stop after the step that is under way, and raise what the thread raised."""
        self.end()
        self.check()
        assert not self._thread.is_alive(), f"{self.name} does not end"
