"""What it means when a call of AWS fails: an error of ours, made in one place.

Law: fatal is only what AWS says in its own words, by a code of the list here, and only at the start: once a
part has worked, it waits whatever AWS answers. All else passes, unknown codes and answers that the SDK cannot
read included. Texts name codes and times, and nothing else of an answer: it could hold data or secrets.
"""

from __future__ import annotations

import re
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from botocore.exceptions import (
    ClientError,
    ConfigParseError,
    ConnectionClosedError,
    ConnectionError,  # noqa: A004 - botocore's, the base of its connection errors
    CredentialRetrievalError,
    InvalidRegionError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    ReadTimeoutError,
    SSOError,
)

from shared.errors import FatalError, PoisonError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator

# Source: Amazon SQS API reference, "Common errors" and the errors of each action. A missing queue or a
# refused permission stays so until a person acts.
_NO_QUEUE = frozenset({"NonExistentQueue", "QueueDoesNotExist", "InvalidAddress"})
_REFUSED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "AuthFailure",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSecurity",
        "OptInRequired",
        "UnrecognizedClientException",
    }
)
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException"})
_WRONG_SIGNATURE = frozenset({"InvalidSignatureException", "SignatureDoesNotMatch"})

# Source: AWS General Reference, "Troubleshoot Signature Version 4"; the errors of S3.
_WRONG_TIME = frozenset({"RequestExpired", "RequestInTheFuture", "RequestTimeTooSkewed"})
_ABOUT_TIME = re.compile(r"signature (expired|not yet current)", re.IGNORECASE)
_TIMES = re.compile(r"(\d{8}T\d{6}Z) is (?:now earlier|still later) than \d{8}T\d{6}Z \((\d{8}T\d{6}Z) ")

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9._]{0,99}")
_SAFE_WORDS = (
    *(ConnectionError, ConnectionClosedError, ReadTimeoutError, OSError),
    *(ConfigParseError, InvalidRegionError, NoRegionError, ProfileNotFound, SSOError),
)
"""Errors whose text is the SDK's or the system's own."""


@contextmanager
def aws_call(doing: str, *, at_start: bool = False) -> Iterator[None]:
    """Translates whatever one call of an AWS client raises.

    Args:
        doing: what is tried, such as ``receiving from QUEUE_URL``.
        at_start: nothing has worked yet, so a refusal is for a person.

    Raises:
        TransientError: waiting helps, or nobody knows.
        FatalError: only at the start: AWS refuses, in its own words.
    """
    try:
        yield
    except (FatalError, PoisonError, TransientError):
        raise
    except Exception as error:
        raise translated(error, doing, at_start=at_start) from error


def translated(error: Exception, doing: str, *, at_start: bool) -> TransientError | FatalError:
    """Returns our error for one that a client's call raised, as `aws_call`."""
    if at_start and is_refusal(error):
        return FatalError(f"{doing}: {words_of(error)}")
    return TransientError(f"{doing}: {words_of(error)}")


def is_refusal(error: Exception) -> bool:
    """Whether AWS says in its own words that only a person can help."""
    code = short_code(error_code(error))
    return code in _NO_QUEUE | _REFUSED | _WRONG_SIGNATURE and not is_about_time(error)


def words_of(error: Exception) -> str:
    """What went wrong, and what to check; the same words for the same cause."""
    if isinstance(error, NoCredentialsError):
        return "there are no AWS credentials: check where they come from"
    if isinstance(error, PartialCredentialsError):
        return "the AWS credentials are incomplete: check where they come from"
    if isinstance(error, CredentialRetrievalError):
        return "the source of the AWS credentials does not give any: check where they come from"
    if is_about_time(error):
        return _words_about_time(error)
    if isinstance(error, ClientError):
        code = error_code(error)
        advice = _advice(short_code(code))
        return f"AWS answered {code or _status(error)}" + (f": {advice}" if advice else "")
    if isinstance(error, _SAFE_WORDS):
        return f"{type(error).__name__}: {error}"
    return f"no answer that can be read ({type(error).__name__})"


def error_code(error: Exception) -> str:
    """The code in an error response, such as ``AccessDenied``; empty if there is none, or an odd one."""
    if not isinstance(error, ClientError):
        return ""
    code = _part(error, "Code")
    return code if _CODE.fullmatch(code) else ""


def short_code(code: str) -> str:
    """A code without the name of the service, which the older protocol of SQS puts before it."""
    return code.removeprefix("AWS.SimpleQueueService.")


def is_about_time(error: Exception) -> bool:
    """Whether AWS refuses a request because of its time: a clock is wrong."""
    code = error_code(error)
    return code in _WRONG_TIME or (bool(code) and bool(_ABOUT_TIME.search(_part(error, "Message"))))


def _words_about_time(error: Exception) -> str:
    difference = ""
    with suppress(ValueError):  # no such day
        difference = _difference(_part(error, "Message"))
    return f"the clock of this machine is wrong{difference}: set it (AWS answered {error_code(error)})"


def _difference(text: str) -> str:
    """How far our clock is from AWS's, if AWS says so; in minutes, so that the words stay the same."""
    times = _TIMES.search(text)
    if not times:
        return ""
    ours, theirs = (datetime.strptime(each, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) for each in times.groups())
    minutes = round((ours - theirs).total_seconds() / 60)
    return f", about {abs(minutes)} minutes {'ahead of' if minutes > 0 else 'behind'} that of AWS"


def _advice(code: str) -> str:
    if code in _NO_QUEUE:
        return "check the queue's URL, region and account"
    if code in _WRONG_SIGNATURE:
        return "check the secret key, and the credentials and the permissions of the role"
    if code in _EXPIRED:
        return "the credentials have expired: check where they come from, or log in again"
    return "check the credentials and the permissions of the role" if code in _REFUSED else ""


def _part(error: Exception, name: str) -> str:
    """A text of an error response; the response can have any form."""
    response = getattr(error, "response", None)
    parts = response.get("Error") if isinstance(response, dict) else None
    part = parts.get(name) if isinstance(parts, dict) else None
    return part if isinstance(part, str) else ""


def _status(error: ClientError) -> str:
    response: object = error.response
    metadata = response.get("ResponseMetadata") if isinstance(response, dict) else None
    status = metadata.get("HTTPStatusCode") if isinstance(metadata, dict) else None
    return f"the status {status}" if isinstance(status, int) else "an error without a code"
