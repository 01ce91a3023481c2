"""Tells an endpoint without Lambda's API, as emulators of other services are, from one that has it.

It decides by a positive list of the errors that Lambda's API has, and only for endpoints that are not AWS's.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from shared.aws_errors import error_code
from shared.errors import FatalError, PoisonError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator

_CODES = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidParameterValueException",
        "InvalidSignatureException",
        "RequestExpired",
        "ResourceNotFoundException",
        "ServiceException",
        "ServiceUnavailable",
        "SignatureDoesNotMatch",
        "ThrottlingException",
        "TooManyRequestsException",
        "UnrecognizedClientException",
        "ValidationError",
        "ValidationException",
    }
)
"""Errors of Lambda's ListEventSourceMappings, and those that all actions of AWS have ("Common errors").

InternalFailure is not among them: Lambda calls it ServiceException, and DynamoDB Local answers it to what it
does not know.
"""

_OF_GATEWAYS = (429, 502, 503, 504)
"""HTTP statuses of what stands in front of an API, and may pass."""


class NoLambdaError(FatalError):
    """The endpoint has no Lambda API; the text names it."""


@contextmanager
def naming_endpoint(endpoint: str) -> Iterator[None]:
    """Names an endpoint that lacks Lambda's API, such as DynamoDB Local, instead of what it answers.

    A call of Lambda, and what is read of its answer, belong into the block.

    Raises:
        NoLambdaError: the endpoint is not AWS's, and what it answers is not of Lambda's API.
    """
    try:
        yield
    except (FatalError, PoisonError, TransientError):
        raise
    except Exception as error:
        if _is_of_aws(endpoint) or not _is_foreign(error):
            raise
        raise NoLambdaError(f"{endpoint} has no Lambda API: it answered {_words(error)}") from error


def _is_of_aws(endpoint: str) -> bool:
    host = urlsplit(endpoint).hostname or ""
    return host.endswith((".amazonaws.com", ".amazonaws.com.cn", ".api.aws"))


def _is_foreign(error: Exception) -> bool:
    """Whether there was an answer that no Lambda API gives."""
    if isinstance(error, ClientError):
        return error_code(error) not in _CODES and _status(error) not in _OF_GATEWAYS
    return isinstance(error, ResponseParserError | LookupError | TypeError | AttributeError)


def _words(error: Exception) -> str:
    if isinstance(error, ClientError):
        return error_code(error) or f"HTTP status {_status(error)}"
    return "something else"


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
