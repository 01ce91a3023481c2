"""MongoDB's error codes: an outage or an interruption parks nothing, a refusal stops, the rest is parked."""

from __future__ import annotations

import pytest
from pymongo.helpers_shared import _NOT_PRIMARY_CODES, _REAUTHENTICATION_REQUIRED_CODE, _SHUTDOWN_CODES

from writer.mongodb.error_codes import Meaning, meaning_of

# The retryable errors of the drivers' specification "Retryable Writes".
RETRYABLE = {6, 7, 89, 91, 134, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436}


@pytest.mark.parametrize("code", sorted(RETRYABLE | set(_NOT_PRIMARY_CODES) | set(_SHUTDOWN_CODES)))
def test_what_the_driver_may_retry_is_transient(code: int) -> None:
    """Elections, shutdowns, network: P4."""
    assert meaning_of(code) is Meaning.TRANSIENT


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        (11601, Meaning.TRANSIENT),  # Interrupted: an operator's killOp
        (64, Meaning.TRANSIENT),  # WriteConcernTimeout
        (100, Meaning.TRANSIENT),  # UnsatisfiableWriteConcern
        (112, Meaning.TRANSIENT),  # WriteConflict
        (14031, Meaning.TRANSIENT),  # OutOfDiskSpace
        (13388, Meaning.TRANSIENT),  # StaleConfig
        (462, Meaning.TRANSIENT),  # IngressRequestRateLimitExceeded
        (13, Meaning.FATAL),  # Unauthorized
        (18, Meaning.FATAL),  # AuthenticationFailed
        (8000, Meaning.FATAL),  # AtlasError
        (11000, Meaning.HEALABLE),  # DuplicateKey
        (121, Meaning.PERMANENT),  # DocumentValidationFailure
        (15, Meaning.PERMANENT),  # Overflow: nested too deep
        (10334, Meaning.PERMANENT),  # BSONObjectTooLarge
        (16755, Meaning.PERMANENT),  # cannot extract geo keys
        (123456, Meaning.PERMANENT),
        (None, Meaning.PERMANENT),
    ],
)
def test_meanings(code: int | None, meaning: Meaning) -> None:
    """One code, one meaning; a code that nobody knows parks its record and stops nobody."""
    assert meaning_of(code) is meaning


def test_the_driver_deals_with_reauthentication_itself() -> None:
    """Its code reaches us only if that failed. Then it is an unknown code like others."""
    assert meaning_of(_REAUTHENTICATION_REQUIRED_CODE) is Meaning.PERMANENT
