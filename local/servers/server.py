"""What the servers of a stack have in common: a child process on a port of its own, until the block ends."""

from typing import Self

from local.processes.child import Child
from local.processes.ports import PortLease


class Server:
    """One server; whoever makes it sets both attributes.

    Attributes:
        child: Its process.
    """

    child: Child
    _lease: PortLease

    def check(self) -> None:
        """Do nothing if it lives.

        Raises:
            StackError: It has ended.
        """
        self.child.check()

    def stop(self) -> None:
        """End it, in order, and whatever it started."""
        self.child.stop()
        self._lease.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
