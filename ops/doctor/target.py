"""MongoDB for the doctor: what a connection string says, what the server says, and what our user may do.

Law: it leaves nothing behind. Where a writer has worked, the writer's own trial runs and is removed;
elsewhere a transaction tries the same operations and is aborted, so that not even a database is made.

This module and `ops.migration.store` are the only ones of the commands that know the driver.
"""

from __future__ import annotations

import difflib
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from bson import ObjectId
from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

from ops.migration.store import Store
from shared.errors import FatalError
from writer.mongodb.driver_errors import translated_at_start
from writer.mongodb.opening import server_problem, try_writes
from writer.mongodb.places import Places, full_name
from writer.names import TOMBSTONES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from writer.ports import Failure

_SRV = "mongodb+srv"
_TLS = ("tls", "ssl")


@dataclass(frozen=True, slots=True)
class Address:
    """What a connection string says.

    Attributes:
        hosts: the members, or the name in the DNS that has them.
        is_encrypted: whether TLS is on.
        is_local: whether all of it stays on this machine.
    """

    hosts: str
    is_encrypted: bool
    is_local: bool


def address_of(uri: str) -> Address:
    """Reads a connection string that the driver has accepted; no name is resolved."""
    if uri.startswith(f"{_SRV}://"):
        parts = urlsplit(uri)
        options = {name.lower(): value.lower() for name, value in parse_qsl(parts.query)}
        return Address(
            parts.hostname or "", "false" not in [options.get(each) for each in _TLS], is_local=False
        )
    parsed = parse_uri(uri, warn=True)
    nodes = parsed["nodelist"]
    return Address(
        hosts=", ".join(host if port is None else f"{host}:{port}" for host, port in nodes),
        is_encrypted=bool(parsed["options"].get("tls", False)),
        is_local=all(port is None or _is_loopback(host) for host, port in nodes),
    )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Target(Store):
    """The writer's sink, which is looked at and not opened."""

    async def answers(self) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """The server's answers to `hello` and `buildInfo`; the second is empty if that is refused.

        Raises:
            TransientError, FatalError: there is none.
        """
        try:
            hello: Mapping[str, Any] = await self._client.admin.command("hello")
        except PyMongoError as error:
            raise translated_at_start(error, "admin") from error
        build: Mapping[str, Any] = {}
        with suppress(PyMongoError):
            build = await self._client.admin.command("buildInfo")
        return hello, build

    @staticmethod
    def problem(hello: Mapping[str, Any], build: Mapping[str, Any]) -> str | None:
        """Why the writers cannot use a server, by these answers."""
        return server_problem(hello, build)

    async def has_writers_collection(self, database: str) -> bool | None:
        """Whether a writer has ever started with a database; None: we may not look."""
        try:
            names = await self._database(database).list_collection_names(filter={"name": TOMBSTONES})
        except PyMongoError:
            return None
        return TOMBSTONES in names

    async def similar_database(self, database: str) -> str:
        """The name of a database that is there and looks like this one; empty: none is known."""
        try:
            names = await self._client.list_database_names()
        except PyMongoError:
            return ""
        return next(iter(difflib.get_close_matches(database, set(names) - {database}, n=1)), "")

    async def try_operations(self, database: str, *, is_used: bool) -> None:
        """Tries what every write needs.

        Args:
            database: where.
            is_used: a writer has worked there.

        Raises:
            TransientError, FatalError: it cannot be done; the text names the collection, and what helps.
        """
        tombstones = self._tombstones(database)
        try:
            if (problem := await Places().problem(tombstones)) is not None:
                raise FatalError(problem.reason)
            if is_used:
                await try_writes(tombstones)
            else:
                await self._try_in_transaction(tombstones)
        except PyMongoError as error:
            raise translated_at_start(error, full_name(tombstones)) from error

    async def _try_in_transaction(self, tombstones: Any) -> None:
        key = {
            "_id": {"c": "", "k": str(ObjectId())}
        }  # as that of `try_writes`: no collection has an empty name
        async with await self._client.start_session() as session:
            session.start_transaction()
            try:
                await tombstones.update_one(key, {"$set": {"f": "try"}}, upsert=True, session=session)
                await tombstones.find_one(key, session=session)
                await tombstones.delete_one(key, session=session)
            finally:
                with suppress(PyMongoError):  # what the server does not hear of, it aborts by itself
                    await session.abort_transaction()

    async def place_problem(self, database: str, collection: str) -> Failure | None:
        """Why nothing can be written to a collection; raises as `answers`."""
        found = self._database(database)[collection]
        try:
            return await Places().problem(found)
        except PyMongoError as error:
            raise translated_at_start(error, full_name(found)) from error
