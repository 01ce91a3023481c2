"""What MongoDB's error codes mean for us: wait, ask a person, or give up on one write. Pure.

Source: MongoDB manual, "Error codes"; the server's ``error_codes.yml`` (categories RetriableError,
NetworkError, NotPrimaryError, ShutdownError, WriteConcernError).
"""

from __future__ import annotations

from enum import Enum


class Meaning(Enum):
    """What to do about an error code."""

    TRANSIENT = "transient"
    FATAL = "fatal"
    HEALABLE = "healable"
    PERMANENT = "permanent"


_DUPLICATE_KEY = 11000

_FATAL = {
    13: "Unauthorized",
    18: "AuthenticationFailed",
    33: "KeyNotFound",
    8000: "AtlasError",
}

_TRANSIENT = {
    6: "HostUnreachable",
    7: "HostNotFound",
    24: "LockTimeout",
    46: "LockBusy",
    50: "MaxTimeMSExpired",
    64: "WriteConcernFailed",
    75: "OperationIncomplete",
    79: "UnknownReplWriteConcern",
    89: "NetworkTimeout",
    91: "ShutdownInProgress",
    95: "NotReadWriteMode",
    100: "CannotSatisfyWriteConcern",
    112: "WriteConflict",
    133: "FailedToSatisfyReadPreference",
    134: "ReadConcernMajorityNotAvailableYet",
    136: "CappedPositionLost",
    150: "StaleEpoch",
    189: "PrimarySteppedDown",
    202: "NetworkInterfaceExceededTimeLimit",
    234: "RetryChangeStream",
    262: "ExceededTimeLimit",
    290: "TransactionExceededLifetimeLimitSeconds",
    314: "ObjectIsBusy",
    317: "ConnectionPoolExpired",
    358: "InternalTransactionNotSupported",
    365: "TemporarilyUnavailable",
    384: "ConnectionError",
    402: "ResourceExhausted",
    9001: "SocketException",
    10107: "NotWritablePrimary",
    11600: "InterruptedAtShutdown",
    11602: "InterruptedDueToReplStateChange",
    13388: "StaleConfig",
    13435: "NotPrimaryNoSecondaryOk",
    13436: "NotPrimaryOrSecondary",
    14031: "OutOfDiskSpace",
    63: "StaleShardVersion",
}


def meaning_of(code: int | None) -> Meaning:
    """Returns the meaning of an error code.

    A code that is not known counts as permanent: the record is parked with the code, can be redriven, and
    does not stop its neighbours.
    """
    if code == _DUPLICATE_KEY:
        return Meaning.HEALABLE
    if code in _FATAL:
        return Meaning.FATAL
    if code in _TRANSIENT:
        return Meaning.TRANSIENT
    return Meaning.PERMANENT
