"""The writer of a run: it is started again when it is killed, and when its mapping has changed.

In production the scheduler does that (ECS). What the killed one had in hand comes back from the queue.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Self

from local.pipeline.deployment import Deployment
from local.pipeline.writer_process import WriterProcess
from local.processes.interrupts import shield
from local.processes.ports import PortLease
from local.stack import Stack


class SupervisedWriter:
    """A writer in a `with` block. All that follow it have its mapping file, log and port."""

    def __init__(  # noqa: PLR0913 - what it hands to each writer
        self,
        stack: Stack,
        deployment: Deployment,
        *,
        mapping: Path,
        hooks: Path,
        port: PortLease,
        say: Callable[[str], None],
    ) -> None:
        """Start none yet.

        Args:
            stack: The servers that it uses.
            deployment: The pipeline whose queue it drains.
            mapping: Its replication.yaml.
            hooks: The folder from which it imports hooks.
            port: Of its status page.
            say: Called with a sentence for the person at the terminal.
        """
        self.mapping, self._hooks = mapping, hooks
        self._stack, self._deployment = stack, deployment
        self._port, self._say = port, say
        self.log = stack.folder / "writer.log"
        self._writer: WriterProcess | None = None

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
            self._writer = WriterProcess(
                self._stack,
                self._deployment,
                log=self.log,
                replication_file=self.mapping,
                settings={"STATUS_PORT": str(self._port.number)},
                directory=self._hooks,
            )
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
        self._say(f"The writer was killed by {signal_name}. Restarting it …")
        self.start()
        self._say(f"The writer is running again, as process {self.pid}. SQS delivers its messages again.")
