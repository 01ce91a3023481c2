"""What all servers of a stack have in common: a child process on a leased port, for a `with` block."""

import http.client
from abc import ABC, abstractmethod
from typing import Self

from local.processes.child import Child
from local.processes.ports import PortLease


class Server(ABC):
    """One server. A subclass starts it in `__init__` and sets both attributes.

    Attributes:
        child: Its process.
    """

    child: Child
    _lease: PortLease

    @abstractmethod
    def wait(self) -> None:
        """Wait until it is ready to serve.

        Raises:
            StackError: It ended, or was not ready in time.
        """

    def check(self) -> None:
        """Do nothing if it is running.

        Raises:
            StackError: It has ended.
        """
        self.child.check()

    def stop(self) -> None:
        """Stop it with SIGTERM, and give its port back."""
        self.child.stop()
        self._lease.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def answers(host: str, port: int, path: str, *, status: int = http.HTTPStatus.OK) -> bool:
    """Whether an HTTP server answers GET with this status within ten seconds. No proxy is used."""
    connection = http.client.HTTPConnection(host, port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == status
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
