"""What the driver's errors mean, by type and code: wait, stop, or judge the writes one by one.

Law: no text of the driver reaches a log or a person; it can quote documents and passwords. Nothing ends a
writer that has worked: `FatalError` is for the start.
"""

from typing import Any

from bson.errors import BSONError
from dns.exception import DNSException
from dns.name import EmptyLabel, LabelTooLong, NameTooLong
from dns.resolver import NXDOMAIN
from pymongo.errors import ConfigurationError, OperationFailure, PyMongoError, WriteConcernError

from shared.errors import FatalError, TransientError
from writer.mongodb.error_codes import Meaning, meaning_of, says_it_cannot
from writer.mongodb.verdicts import Refusal, lacks_right

_OTHER_INDEX = 85  # IndexOptionsConflict
_OTHER_CASE = 13297  # DatabaseDifferCase

_WRONG_NAMES = (NXDOMAIN, EmptyLabel, LabelTooLong, NameTooLong)


def concerns_server(error: PyMongoError) -> bool:
    """Whether an error is about the server or the connection, and so about the whole batch."""
    if not isinstance(error, OperationFailure) or isinstance(error, WriteConcernError):
        return True
    return meaning_of(error.code, text_of(error)) in (
        Meaning.SERVER,
        Meaning.LOGIN,
    ) or error.has_error_label("RetryableWriteError")


def refusal_of(error: Exception) -> Refusal:
    """The answer to a whole command, or the driver's own about a document that it does not take."""
    if isinstance(error, OperationFailure):
        return Refusal(error.code or 0, text_of(error), whole=True)
    return Refusal(None, str(error), word=type(error).__name__)


def check_server(refusals: list[Refusal]) -> None:
    """Looks at the answers to single writes.

    Raises:
        TransientError: one of them concerns the whole server.
    """
    for refusal in refusals:
        if refusal.meaning is Meaning.SERVER:
            raise TransientError(f"MongoDB answered {refusal.code} to a write")
        if refusal.meaning is Meaning.LOGIN:
            raise TransientError(_refused_login(refusal.code))


def translated(error: PyMongoError | BSONError) -> TransientError:
    """Translates a driver's error by type and code. Whatever it is, a writer that has worked waits."""
    if isinstance(error, BSONError):
        return TransientError(
            f"MongoDB holds or answered something that cannot be read: {type(error).__name__}"
        )
    if isinstance(error, OperationFailure):
        meaning = meaning_of(error.code, text_of(error))
        if meaning is Meaning.LOGIN:
            return TransientError(_refused_login(error.code))
        if meaning is Meaning.SERVER and "space quota" in text_of(error):
            return TransientError(f"the MongoDB cluster is over its space quota (code {error.code})")
        return TransientError(f"MongoDB: {type(error).__name__} {error.code}")
    if isinstance(error, ConfigurationError):
        if isinstance(cause := error.__cause__, DNSException | OSError):
            return TransientError(
                f"the DNS does not resolve the name in MONGODB_URI ({type(cause).__name__})"
            )
        return TransientError("MongoDB cannot be used with these settings")
    return TransientError(f"MongoDB: {type(error).__name__}{about_tls(error)}")


def translated_at_start(error: PyMongoError, place: str) -> TransientError | FatalError:
    """Translates a driver's error while the writer opens. Fatal is what the server refuses in its own words.

    `place`: the full name of the collection that was used.
    """
    reason = None
    if isinstance(error, ConfigurationError):
        reason = _wrong_settings(error)
    elif isinstance(error, OperationFailure) and not error.has_error_label("RetryableWriteError"):
        reason = _refused_at_start(error.code, text_of(error), place)
    return translated(error) if reason is None else FatalError(reason)


def _wrong_settings(error: ConfigurationError) -> str | None:
    if isinstance(error.__cause__, _WRONG_NAMES):
        return "the host name in MONGODB_URI does not exist in the DNS"
    if isinstance(error.__cause__, DNSException | OSError):
        return None
    return f"MongoDB cannot be used with these settings: {error}"


def _refused_at_start(code: int | None, text: str, place: str) -> str | None:
    if code == _OTHER_INDEX:
        return (
            f"the collection {place} has an index on 'at' with different options from the replicator's: "
            "drop it"
        )
    if code == _OTHER_CASE:
        return (
            f"a database has a name that differs only in case from that of {place}: use its name in "
            "MONGODB_DATABASE or in the mapping"
        )
    meaning = meaning_of(code, text)
    if meaning is Meaning.LOGIN:
        return _refused_login(code)
    if meaning is Meaning.RIGHT:
        return lacks_right(place, code)
    return cannot(f"it answered {code} to a test of them on {place}") if says_it_cannot(code, text) else None


def cannot(why: str) -> str:
    """The sentence about a server that the writer cannot work with."""
    return (
        f"this server does not support the writer's writes: {why}. MongoDB 5.0 or later is needed, as a "
        "replica set or a sharded cluster; Amazon DocumentDB, Azure Cosmos DB and FerretDB are not enough"
    )


def text_of(error: OperationFailure) -> str:
    """The server's words."""
    details: Any = error.details
    return str(details.get("errmsg", "")) if isinstance(details, dict) else ""


def _refused_login(code: int | None) -> str:
    return (
        f"MongoDB refuses the login (code {code}): check user, password and authSource in MONGODB_URI, and "
        "whether the user still exists"
    )


def about_tls(error: PyMongoError) -> str:
    """What a person should know about a failed handshake; only the driver's text has it.

    It is not fatal: a certificate may have expired on one member, or be renewed in the next minute.
    """
    text = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return (
            ": the certificate of the server is not trusted, has expired, or is for another host than "
            "the one in MONGODB_URI (tlsCAFile names the trusted authorities)"
        )
    if "[SSL: " in text or "SSL handshake failed" in text:
        return (
            ": the TLS handshake failed; check the TLS options of MONGODB_URI, and what the server requires"
        )
    return ""
