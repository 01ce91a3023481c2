"""Which library talks to MongoDB: Motor, or PyMongo's own asynchronous client, which follows it.

Both are PyMongo, with the same calls, options and errors. Motor runs them in threads, PyMongo's client in the
event loop. This module alone knows the differences. See
docs/decisions/0036-two-clients.md.
"""

import os
from collections.abc import Awaitable
from inspect import isawaitable
from typing import Any, TypeAlias, TypeVar, cast

# Motor waits for MongoDB in threads: five for each core, unless this says more before Motor is imported. With
# more connections than that, some would be idle where answers take long. Threads are made as they are needed.
os.environ.setdefault("MOTOR_MAX_WORKERS", "200")  # two loops for each of the most connections

from motor.core import AgnosticClient, AgnosticClientSession, AgnosticCollection, AgnosticDatabase
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import AsyncMongoClient

from writer.names import Library

Client: TypeAlias = AgnosticClient[Any]
Database: TypeAlias = AgnosticDatabase[Any]
Collection: TypeAlias = AgnosticCollection[Any]
Session: TypeAlias = AgnosticClientSession

_T = TypeVar("_T")


def connected(uri: str, library: Library, **options: Any) -> Client:
    """Makes a client that connects when it is first used. Errors and options are PyMongo's."""
    if library == "motor":
        return AsyncIOMotorClient(uri, **options)
    return cast("Client", AsyncMongoClient(uri, **options))


async def ready(given: Awaitable[_T] | _T) -> _T:
    """What a call returns that one library gives at once, and the other after waiting."""
    return await given if isawaitable(given) else given
