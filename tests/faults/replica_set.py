"""A replica set of three mongods, whose primary can be killed."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Self

import pymongo
from pymongo.errors import PyMongoError

from local.polling import wait_until
from local.servers.mongod import REPLICA_SET, Mongod

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MEMBERS = 3
# Without a heartbeat for so long, the others elect a new primary. A busy machine is not late by that much.
_ELECTION_MS = 5_000
_HEARTBEAT_MS = 500


class Member(Mongod):
    """One of several members: it is up as primary or as secondary."""

    def wait(self) -> None:
        """Wait until it is primary or secondary.

        Raises:
            StackError: It ended, or was not ready in time.
        """
        self.child.wait_until(
            lambda: bool({"isWritablePrimary", "secondary"} & self.roles()),
            what=f"{self.address} to take part in the replica set",
        )

    def stop(self) -> None:
        """Kill it: in an orderly shutdown, a primary would wait for a successor; its data is not needed."""
        self.kill()
        super().stop()

    def roles(self) -> set[str]:
        """Its roles as it reports them; none if it does not answer."""
        with self._client() as client:
            try:
                said = client.admin.command("hello")
            except PyMongoError:
                return set()
        return {role for role in ("isWritablePrimary", "secondary") if said.get(role)}

    def wait_for_answer(self) -> None:
        """Wait until it answers, whatever its role.

        Raises:
            StackError: It ended, or did not answer in time.
        """
        with self._client() as client:
            self.child.wait_until(lambda: _answers(client), what=f"{self.address} to answer")

    def initiate(self, addresses: list[str]) -> None:
        """Make a replica set of these members. All of them must answer."""
        members = [{"_id": number, "host": address} for number, address in enumerate(addresses)]
        settings = {"electionTimeoutMillis": _ELECTION_MS, "heartbeatIntervalMillis": _HEARTBEAT_MS}
        config = {"_id": REPLICA_SET, "members": members, "settings": settings}
        with self._client() as client:
            client.admin.command("replSetInitiate", config)

    @contextlib.contextmanager
    def _client(self) -> Iterator[pymongo.MongoClient[dict[str, Any]]]:
        with pymongo.MongoClient[dict[str, Any]](
            self.address, directConnection=True, serverSelectionTimeoutMS=10_000
        ) as client:
            yield client


class ReplicaSet:
    """The members, for the time of its `with` block."""

    def __init__(self, folder: Path) -> None:
        """Start all members, and wait for a primary.

        Args:
            folder: Existing folder for their data and logs.
        """
        self._resources = contextlib.ExitStack()
        self.members: list[Member] = []
        try:
            for number in range(MEMBERS):
                own = folder / f"member-{number}"
                own.mkdir()
                self.members.append(self._resources.enter_context(Member(own)))
            for member in self.members:
                member.wait_for_answer()
            self.members[0].initiate([member.address for member in self.members])
            for member in self.members:
                member.wait()
            self.primary()
        except BaseException:
            self._resources.close()
            raise
        addresses = ",".join(member.address for member in self.members)
        self.uri = f"mongodb://{addresses}/?replicaSet={REPLICA_SET}"

    def primary(self) -> Member:
        """The member that accepts writes; waits for one.

        Raises:
            StackError: There was none in time.
        """

        def find() -> Member | None:
            running = [member for member in self.members if member.child.running]
            return next((member for member in running if "isWritablePrimary" in member.roles()), None)

        return wait_until(find, what="a primary")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()


def _answers(client: pymongo.MongoClient[dict[str, Any]]) -> bool:
    try:
        client.admin.command("ping")
    except PyMongoError:
        return False
    return True
