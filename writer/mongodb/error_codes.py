"""What MongoDB's error codes mean for the writer: wait, stop, or give up on one write. Pure.

Source: MongoDB manual, "Error codes"; the server's ``error_codes.yml`` (categories RetriableError,
NetworkError, NotPrimaryError, ShutdownError, WriteConcernError).
"""

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
    334: "MechanismUnavailable",
    8000: "AtlasError",
}

# Codes of the categories above, of load, locks and routing, and of an operator's `killOp`.
_TRANSIENT = {
    6: "HostUnreachable",
    7: "HostNotFound",
    24: "LockTimeout",
    46: "LockBusy",
    50: "MaxTimeMSExpired",
    63: "StaleShardVersion",
    64: "WriteConcernTimeout",
    75: "WriteConcernLegacyOK",
    79: "UnknownReplWriteConcern",
    89: "NetworkTimeout",
    91: "ShutdownInProgress",
    100: "UnsatisfiableWriteConcern",
    107: "LockFailed",
    112: "WriteConflict",
    117: "ConflictingOperationInProgress",
    133: "FailedToSatisfyReadPreference",
    134: "ReadConcernMajorityNotAvailableYet",
    145: "PooledConnectionsDropped",
    149: "NoConfigPrimary",
    150: "StaleEpoch",
    175: "QueryPlanKilled",
    189: "PrimarySteppedDown",
    202: "NetworkInterfaceExceededTimeLimit",
    203: "ShardingStateNotInitialized",
    215: "DatabaseDropPending",
    216: "ElectionInProgress",
    234: "RetryChangeStream",
    237: "CursorKilled",
    246: "SnapshotUnavailable",
    249: "StaleDbVersion",
    261: "TooManyLogicalSessions",
    262: "ExceededTimeLimit",
    264: "TooManyFilesOpen",
    267: "PreparedTransactionInProgress",
    272: "MigrationConflict",
    279: "ClientDisconnect",
    290: "TransactionExceededLifetimeLimitSeconds",
    317: "ConnectionPoolExpired",
    342: "ReshardingCriticalSectionTimeout",
    343: "ShardCannotRefreshDueToLocksHeld",
    355: "InterruptedDueToStorageChange",
    358: "InternalTransactionNotSupported",
    365: "TemporarilyUnavailable",
    371: "UserWritesBlocked",
    384: "ConnectionError",
    402: "ResourceExhausted",
    406: "MigrationBlockingOperationCoordinatorCleaningUp",
    407: "PooledConnectionAcquisitionExceededTimeLimit",
    412: "UpdatesStillPending",
    433: "AdmissionQueueOverflow",
    449: "RateLimitExceeded",
    450: "PooledConnectionAcquisitionRejected",
    453: "InterruptedDueToReshardingCriticalSection",
    462: "IngressRequestRateLimitExceeded",
    9001: "SocketException",
    10058: "LegacyNotPrimary",
    10107: "NotWritablePrimary",
    11600: "InterruptedAtShutdown",
    11601: "Interrupted",
    11602: "InterruptedDueToReplStateChange",
    12586: "BackgroundOperationInProgressForDatabase",
    12587: "BackgroundOperationInProgressForNamespace",
    13388: "StaleConfig",
    13435: "NotPrimaryNoSecondaryOk",
    13436: "NotPrimaryOrSecondary",
    14031: "OutOfDiskSpace",
    46841: "ClientMarkedKilled",
    50915: "BackupCursorOpenConflictWithCheckpoint",
    91331: "RetriableRemoteCommandFailure",
    10045600: "InterruptedDueToFCVChange",
}


def meaning_of(code: int | None) -> Meaning:
    """Returns the meaning of an error code.

    An unknown code counts as permanent: the record is parked with it, can be redriven, and holds up no other.
    """
    if code == _DUPLICATE_KEY:
        return Meaning.HEALABLE
    if code in _FATAL:
        return Meaning.FATAL
    if code in _TRANSIENT:
        return Meaning.TRANSIENT
    return Meaning.PERMANENT
