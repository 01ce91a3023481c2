"""A real `mongod` on this machine, as a replica set of one member, as drivers and `w=majority` expect.

It can be killed and started again on the same folder and port, and is then the same replica set.
"""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pymongo
from pymongo.errors import OperationFailure, PyMongoError, ServerSelectionTimeoutError
from pymongo.topology_description import TopologyDescription

from local import paths
from local.errors import StackError
from local.processes import ports
from local.processes.child import Child, base_environment
from local.servers.server import Server

PREFERRED_PORT = 27017
REPLICA_SET = "rs0"
CACHE_GB = 0.5
WHEEL_BINARY = paths.STACK_PACKAGES / "fiftyone" / "db" / "bin" / "mongod"
# The server's error code for a replica set that has not been initiated.
NOT_YET_INITIALIZED = 94


def find_mongod(search_path: str | None = None, wheel: Path = WHEEL_BINARY) -> Path:
    """The `mongod` to run: the one on PATH, or else the one in the stack's packages.

    Args:
        search_path: Folders to search, in the form of PATH; by default PATH itself.
        wheel: The program that the package installs.

    Raises:
        StackError: Neither exists.
    """
    if found := shutil.which("mongod", path=search_path):
        return Path(found)
    if wheel.exists():
        return wheel
    raise StackError(
        "There is no mongod on PATH, and the packaged one runs only on Linux on x86-64. "
        "Install MongoDB 5.0 or later, or set MONGODB_URI to one that you can write to."
    )


def mongod_version(binary: Path) -> str:
    """The version of a `mongod`, for example "6.0.5".

    Raises:
        StackError: It does not run here; the message says what to install.
    """
    try:
        # S603: a program of our own choice, no shell.
        result = subprocess.run(  # noqa: S603
            [binary, "--version"], capture_output=True, text=True, check=False, env=base_environment()
        )
    except OSError as error:
        raise StackError(f"{binary} does not run on this machine: {error}") from error
    if result.returncode != 0:
        reason = result.stderr.strip() or f"exit status {result.returncode}"
        advice = (
            "It needs libcurl 4 and OpenSSL 3. On Debian and Ubuntu: apt-get install libcurl4 libssl3"
            if "shared librar" in reason or "GLIBC" in reason or "OPENSSL" in reason
            else "Install another MongoDB, or set MONGODB_URI."
        )
        raise StackError(f"{binary} does not run on this machine: {reason}\n{advice}")
    first_line = result.stdout.partition("\n")[0]  # "db version v6.0.5"
    return first_line.rpartition("v")[2].strip()


class Mongod(Server):
    """One `mongod` with its folder and port."""

    def __init__(
        self,
        folder: Path,
        *,
        binary: Path | None = None,
        options: Sequence[str | Path] = (),
        client_options: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """Start it.

        Args:
            folder: Existing folder for its data (in `mongod/`) and its log.
            binary: The program; by default what `find_mongod` finds.
            options: More options of its command line, for example for TLS.
            client_options: What PyMongo then needs to connect.

        Raises:
            StackError: There is no `mongod`, or it does not run here.
        """
        self._binary = binary or find_mongod()
        self.version = mongod_version(self._binary)
        self._folder = folder
        self._options, self._client_options = options, client_options
        (folder / "mongod").mkdir(exist_ok=True)
        self._lease = ports.free_port(PREFERRED_PORT)
        self.address = f"{ports.HOST}:{self._lease.number}"
        self.uri = f"mongodb://{self.address}/?replicaSet={REPLICA_SET}"
        self.child = self._start()

    def _start(self) -> Child:
        command: list[str | Path] = [
            *(self._binary, "--replSet", REPLICA_SET),
            *("--bind_ip", ports.HOST, "--port", str(self._lease.number), "--nounixsocket"),
            *("--dbpath", self._folder / "mongod", "--wiredTigerCacheSizeGB", str(CACHE_GB)),
            *("--setParameter", "diagnosticDataCollectionEnabled=false"),
            *self._options,
        ]
        log = self._folder / "mongod.log"
        return Child("MongoDB", command, environment=base_environment(), log=log, directory=self._folder)

    def wait(self) -> None:
        """Wait until it is a primary that accepts writes; initiate the replica set the first time.

        Raises:
            StackError: It ended, or was not ready in time.
        """
        with pymongo.MongoClient[dict[str, Any]](
            self.address, directConnection=True, serverSelectionTimeoutMS=10_000, **self._client_options
        ) as client:
            self.child.wait_until(
                lambda: _is_primary(client, self.address),
                what="MongoDB to become primary",
            )

    def kill(self) -> None:
        """Kill it, as a crash does."""
        self.child.kill()

    def restart(self) -> None:
        """Start it again on the same data and port after it ended, and wait as `wait` does."""
        self.child = self._start()
        self.wait()


def _is_primary(client: pymongo.MongoClient[dict[str, Any]], address: str) -> bool:
    try:
        if client.admin.command("hello").get("isWritablePrimary"):
            return True
        try:
            client.admin.command("replSetGetStatus")
        except OperationFailure as error:
            if error.code != NOT_YET_INITIALIZED:
                raise
            members = [{"_id": 0, "host": address}]
            client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
    except PyMongoError:  # not listening yet, or still becoming primary: try again
        pass
    return False


def without_password(uri: str) -> str:
    """The URI as it may be printed."""
    return re.sub(r"(//[^:@/]*):[^@/]*@", r"\1:***@", uri)


def check_reachable(uri: str, *, timeout_ms: int = 10_000) -> str:
    """The version of the server behind a MongoDB URI.

    Raises:
        StackError: It cannot be reached, or refuses us. Of the URI, the message has only the hosts.
    """
    try:
        client = pymongo.MongoClient[dict[str, Any]](uri, serverSelectionTimeoutMS=timeout_ms)
    except (PyMongoError, ValueError) as error:  # a port that is no number is a ValueError
        raise StackError(f"MONGODB_URI is not the address of a MongoDB: {error}") from error
    with client:
        try:
            return str(client.admin.command("buildInfo")["version"])
        except ServerSelectionTimeoutError as error:
            raise StackError(_why_not_reached(client.topology_description)) from error
        except OperationFailure as error:
            why = (error.details or {}).get("errmsg", error)
            raise StackError(f"The MongoDB of MONGODB_URI rejects the connection: {why}") from error
        except PyMongoError as error:
            raise StackError(f"The MongoDB of MONGODB_URI cannot be used: {error}") from error


def _why_not_reached(topology: TopologyDescription) -> str:
    """One sentence, where the driver's words describe its whole view of the servers."""
    hosts = ", ".join(sorted(f"{host}:{port}" for host, port in topology.server_descriptions()))
    return (
        f"MONGODB_URI names {hosts}, where no MongoDB can be reached. Start it, or unset the variable to "
        "have one started here."
    )
