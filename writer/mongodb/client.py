"""The MongoDB client: a small, fixed pool of connections, and databases read and written the same way always.

Law: no text of it, and no error, repeats the connection string, which may hold a password.
"""

import asyncio
import re
import socket
import warnings
from typing import Any

from bson.errors import BSONError
from pymongo import ReadPreference
from pymongo.errors import ConfigurationError, InvalidURI, PyMongoError, ServerSelectionTimeoutError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from shared.errors import FatalError, TransientError
from writer.mongodb.driver import Client, Database, connected
from writer.mongodb.driver_errors import about_tls, translated, translated_at_start
from writer.mongodb.stored import CODEC
from writer.names import Library

_SELECTION_MS, _SOCKET_MS, _MAJORITY_MS = 5_000, 30_000, 20_000

_PROBE_SECONDS = 3.0

_MOST_HOSTS = 5

_UNKNOWN_OPTION = re.compile(r"Unknown option: (\w{1,40})\. Did you mean one of \((\w+)").match
_WRONG_VALUE = re.compile(r"(?:The value of )?(\w{1,40}) must be ('true' or 'false'|[a-z ]+)").match

_SCHEMES = ("mongodb://", "mongodb+srv://")


def make_client(uri: str, pool_size: int, library: Library = "motor") -> Client:
    """Makes a client that connects when it is first used.

    Raises:
        FatalError: the URI cannot be used; the text does not repeat it.
    """
    if not uri.startswith(_SCHEMES):
        raise FatalError(
            "MONGODB_URI begins neither with mongodb:// nor with mongodb+srv://: it looks like "
            "mongodb://user:password@host:27017/?replicaSet=rs0"
        )
    try:
        with warnings.catch_warnings():
            # The driver only warns about unknown options, and goes on without them, even without TLS.
            warnings.simplefilter("error", UserWarning)
            return connected(
                uri,
                library,
                maxPoolSize=pool_size,
                serverSelectionTimeoutMS=_SELECTION_MS,
                connectTimeoutMS=_SELECTION_MS,
                socketTimeoutMS=_SOCKET_MS,
                appname="dynamodb-mongodb-replicator",
            )
    except OSError as error:  # ssl.SSLError is one
        raise FatalError(
            f"a file that MONGODB_URI names cannot be read ({type(error).__name__}): tlsCAFile and "
            "tlsCertificateKeyFile are PEM files"
        ) from None
    except UserWarning as error:
        raise FatalError(_option_problem(uri, str(error))) from None
    except (ConfigurationError, InvalidURI, ValueError, KeyError) as error:
        # The driver's text can quote the URI, and with it the password.
        raise FatalError(
            f"MONGODB_URI is not a usable connection string ({type(error).__name__}): "
            "it looks like mongodb://user:password@host:27017/?replicaSet=rs0, and special characters "
            "in user and password are percent-encoded, and options those that PyMongo knows"
        ) from None


def _option_problem(uri: str, warning: str) -> str:
    """The sentence about an option of the URI, by the driver's warning, of which only names are repeated.

    In a URI that is not percent-encoded, what looks like the name of an option can be part of a password.
    """
    may_name = "@" not in uri.partition("?")[2]
    if may_name and (unknown := _UNKNOWN_OPTION(warning)):
        name, near = unknown.groups()
        return (
            f"MONGODB_URI has an option unknown to PyMongo: {name} (did you mean {near}?); correct "
            "it, or leave it out"
        )
    if may_name and (wrong := _WRONG_VALUE(warning)):
        return f"MONGODB_URI has an option whose value is not allowed: {wrong[1]} must be {wrong[2]}"
    return "MONGODB_URI has an option unknown to PyMongo, or a value that is not allowed: correct it"


def hosts_of(client: Client) -> str:
    """Host and port of the members that are known, or that the URI names."""
    known: Any = client
    addresses = sorted(known.topology_description.server_descriptions())
    shown = [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in addresses]
    more = len(shown) - _MOST_HOSTS
    return ", ".join(shown[:_MOST_HOSTS]) + (f" and {more} more" if more > 0 else "")


def translated_with_hosts(error: PyMongoError | BSONError, client: Client) -> TransientError:
    """Translates an error as `translated` does; one of a server that does not answer names host and port."""
    if not isinstance(error, ServerSelectionTimeoutError):
        return translated(error)
    if problem := _no_member(client):
        return TransientError(problem)
    if hosts := hosts_of(client):
        known: Any = client
        what = "has no primary" if known.topology_description.has_known_servers else "does not answer"
        return TransientError(f"MongoDB at {hosts} {what}{about_tls(error)}")
    return translated(error)


async def reach(client: Client) -> None:
    """Makes the first contact.

    Raises:
        FatalError: no member has answered; the text says which, and why as far as that can be seen.
        TransientError: one has, but there is no primary now.
        PyMongoError: as the driver raises it.
    """
    known: Any = client
    try:
        await client.admin.command("ping")
    except (ServerSelectionTimeoutError, ConfigurationError) as error:
        if known.topology_description.has_known_servers:
            raise translated_with_hosts(error, client) from error
        if isinstance(error, ConfigurationError):
            raise FatalError(str(translated_at_start(error, "the database"))) from error
        if about_tls(error):
            raise FatalError(str(translated_with_hosts(error, client))) from error
        addresses = sorted(known.topology_description.server_descriptions())
        if problem := _no_member(client):
            raise FatalError(problem) from error
        why = await _why_silent(*addresses[0]) if addresses else "no host is known"
        raise FatalError(
            f"MongoDB at {hosts_of(client)} does not answer: {why}; check the host and port in MONGODB_URI "
            "(--mongodb-uri), and the network in between"
        ) from error


def _no_member(client: Client) -> str:
    """What is said when the driver has dropped all servers: they answer, but are not of that replica set."""
    known: Any = client
    description = known.topology_description
    if description.server_descriptions() or not description.replica_set_name:
        return ""
    return (
        "no server that MONGODB_URI names is a member of the replica set "
        f"{description.replica_set_name}: correct replicaSet there, or leave it out"
    )


async def _why_silent(host: str, port: int | None) -> str:
    """Why there was no answer, by a connection of our own: the driver has it as text only."""
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
    except socket.gaierror:
        return f"the name {host} cannot be resolved"
    except ConnectionRefusedError:
        return "the connection is refused: nothing listens there"
    except (OSError, TimeoutError):
        return "there is no route to it, or a firewall drops the packets"
    writer.close()
    return "something listens there, but does not answer like MongoDB: it hangs, or needs TLS (tls=true)"


def database_of(client: Client, name: str) -> Database:
    """A database, whatever the URI says of reading and writing.

    A change is acknowledged only after a majority has it (P3), and tombstones are read from the member that
    writes them, as they are there.
    """
    return client.get_database(
        name,
        codec_options=CODEC,
        read_preference=ReadPreference.PRIMARY,
        write_concern=WriteConcern(w="majority", wtimeout=_MAJORITY_MS),
        read_concern=ReadConcern("local"),
    )
