"""What the driver's errors mean, by type and code: wait, stop, heal, park.

Law: no text of the driver reaches a log or a person; it can quote documents and passwords.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from bson.errors import InvalidDocument
from pymongo.errors import ConfigurationError, DocumentTooLarge, OperationFailure, PyMongoError

from shared.errors import FatalError, TransientError
from writer.mongodb.error_codes import Meaning, meaning_of
from writer.ports import Failure, FailureKind


def check_problems(problems: Iterable[Mapping[str, Any]]) -> None:
    """Raises if one of the errors of single writes concerns more than its write, or is transient."""
    for problem in problems:
        match meaning_of(problem["code"]):
            case Meaning.TRANSIENT:
                raise TransientError(f"MongoDB answered {problem['code']} to a write")
            case Meaning.FATAL:
                raise FatalError(_refusal(problem["code"]))
            case Meaning.HEALABLE if problem.get("keyPattern") == {"_id": 1} and _is_by_id(problem):
                # Two writers inserted the same document at once: now it exists, and the guard decides.
                # With a shard key in the filter it may also exist under another value of that key.
                raise TransientError("another writer inserted the same document at the same time")
            case _:
                pass


def _is_by_id(problem: Mapping[str, Any]) -> bool:
    return len(problem.get("op", {}).get("q", ())) <= 1


def is_duplicate(problem: Mapping[str, Any]) -> bool:
    """Whether a unique index refused the write, be it that of `_id`."""
    return meaning_of(problem["code"]) is Meaning.HEALABLE


def failure_of(problem: Mapping[str, Any]) -> Failure:
    code = problem["code"]
    healable = meaning_of(code) is Meaning.HEALABLE
    kind = FailureKind.HEALABLE if healable else FailureKind.PERMANENT
    return Failure(kind, str(code), str(problem.get("errmsg", "")))


def failure_of_all(error: Exception) -> Failure:
    code = error.code if isinstance(error, OperationFailure) else type(error).__name__
    return Failure(FailureKind.PERMANENT, str(code), str(error))


def translated(error: PyMongoError) -> TransientError | FatalError:
    """Translates a driver's error by type and code.

    An unknown error is a bug of ours, or comes from a newer server. It counts as transient: nothing is lost,
    and `/readyz` shows it.
    """
    if isinstance(error, OperationFailure) and meaning_of(error.code) is Meaning.FATAL:
        return FatalError(_refusal(error.code))
    if isinstance(error, ConfigurationError):
        return FatalError(f"MongoDB cannot be used with these settings: {error}")
    code = f" {error.code}" if isinstance(error, OperationFailure) else ""
    return TransientError(f"MongoDB: {type(error).__name__}{code}{_about_tls(error)}")


def _about_tls(error: PyMongoError) -> str:
    """What a person should know about a failed handshake; only the driver's text has it.

    It is not fatal: a certificate may have expired on one member, or be renewed in the next minute.
    """
    text = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return (
            ": the certificate of the server is not trusted, has run out, or is for another host than "
            "the one in MONGODB_URI (tlsCAFile names who is trusted)"
        )
    if "[SSL: " in text or "SSL handshake failed" in text:
        return (
            ": the TLS handshake failed; check the TLS options of MONGODB_URI, and what the server asks for"
        )
    return ""


def concerns_documents(error: Exception) -> bool:
    """Whether a bulk write that failed as a whole failed for one of its documents."""
    if isinstance(error, OperationFailure):
        return meaning_of(error.code) is Meaning.PERMANENT and not error.has_error_label(
            "RetryableWriteError"
        )
    return isinstance(error, InvalidDocument | DocumentTooLarge)


def _refusal(code: int | None) -> str:
    return (
        f"MongoDB refuses the writer (code {code}): check user, password and authSource in MONGODB_URI; "
        "the user needs the role readWrite on MONGODB_DATABASE"
    )
