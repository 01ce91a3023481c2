"""The writer of a run, or `replicator follow`: started again when it is killed, or its mapping has changed.

In production the scheduler does that (ECS). What a killed writer had in hand comes back from the queue.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, Self

from local.processes.child import Child
from local.processes.interrupts import shield
from local.processes.ports import PortLease


class Process(Protocol):
    """A writer process, or one that follows tables."""

    child: Child

    def wait(self) -> None:
        """Wait until it is ready. Raises a StackError if it has ended."""

    def stop(self) -> int:
        """End it in order, and return its exit status."""


class SupervisedWriter:
    """A writer in a `with` block. All that follow it have its mapping file, log and port."""

    def __init__(  # noqa: PLR0913 - what all writers have in common
        self,
        make: Callable[[], Process],
        *,
        mapping: Path,
        log: Path,
        port: PortLease,
        say: Callable[[str], None],
        name: str = "The writer",
        after_a_kill: str = "SQS delivers its messages again.",
    ) -> None:
        """Start none yet.

        Args:
            make: Starts one.
            mapping: Its replication.yaml.
            log: Its log.
            port: Of its status page.
            say: Called with a sentence for the person at the terminal.
            name: At the beginning of a sentence.
            after_a_kill: What becomes of what a killed one had in hand.
        """
        self.mapping, self.log = mapping, log
        self._make, self._port, self._say = make, port, say
        self._name, self._after_a_kill = name, after_a_kill
        self._writer: Process | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def status_url(self) -> str:
        """Root URL of the status page."""
        return f"http://127.0.0.1:{self._port.number}"

    @property
    def pid(self) -> int:
        """The process id of the writer that runs now; 0: none does."""
        return self._writer.child.pid if self._writer else 0

    def start(self) -> None:
        """Start a writer, and wait until it is ready.

        Raises:
            StackError: It ended, or was not ready in time.
        """
        with shield():
            self._writer = self._make()
        self._writer.wait()

    def stop(self) -> None:
        """Let the writer finish what it holds, and end."""
        if self._writer:
            self._writer.stop()

    def restart(self) -> None:
        """Stop the writer, and start another one, which reads the mapping anew.

        Raises:
            StackError: It ended, or was not ready in time.
        """
        self.stop()
        self.start()

    def check(self) -> None:
        """Do nothing if the writer is running; start another one if it was killed.

        Raises:
            StackError: It has ended without a signal, as another one would, too; or the new one did not get
                ready.
        """
        if not self._writer or self._writer.child.running:  # looked at once: it can be killed at any moment
            return
        if not (signal_name := self._writer.child.killed_by):
            self._writer.child.check()
            return
        self._say(f"{self._name} was killed by {signal_name}. Restarting it …")
        self.start()
        self._say(f"{self._name} is running again, as process {self.pid}. {self._after_a_kill}")
