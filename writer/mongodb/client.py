"""The MongoDB client: a small, fixed pool of connections, and databases read and written the same way always.

Law: no text of it, and no error, repeats the connection string, which may hold a password.
"""

import warnings
from typing import Any

from motor.core import AgnosticClient, AgnosticDatabase
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import ReadPreference
from pymongo.errors import ConfigurationError, InvalidURI
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from shared.errors import FatalError
from writer.mongodb.stored import CODEC

_SELECTION_MS, _SOCKET_MS, _MAJORITY_MS = 5_000, 30_000, 20_000

_SCHEMES = ("mongodb://", "mongodb+srv://")


def make_client(uri: str, pool_size: int) -> AgnosticClient[Any]:
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
            return AsyncIOMotorClient(
                uri,
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
    except (ConfigurationError, InvalidURI, ValueError, KeyError, UserWarning) as error:
        # The driver's text can quote the URI, and with it the password.
        raise FatalError(
            f"MONGODB_URI is not a usable connection string ({type(error).__name__}): "
            "it looks like mongodb://user:password@host:27017/?replicaSet=rs0, and special characters "
            "in user and password are percent-encoded, and options those that PyMongo knows"
        ) from None


def database_of(client: AgnosticClient[Any], name: str) -> AgnosticDatabase[Any]:
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
