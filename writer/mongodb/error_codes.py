"""What MongoDB's error codes mean for the writer. Pure.

Law: positive lists. Only a code on the list of document faults can be the fault of a document, and
`writer.mongodb.verdicts` decides whether it is. Only a code on the list of server conditions holds up a
whole batch. All other codes, also those of future servers, say nothing about a document: what they refuse
waits.

Sources: the server's ``error_codes.yml`` with its categories; the codes that its
``AbstractIndexAccessMethod::getKeys`` knows as faults of a document under an index; what mongod 6.0.5
answered to such documents (docs/decisions/0018-answers-of-mongodb.md).
"""

from enum import Enum


class Meaning(Enum):
    """What an error code is about."""

    SERVER = "server"
    """The whole server: network, elections, shutdown, write concern, load. The batch is repeated."""
    LOGIN = "login"
    """User or password is refused."""
    RIGHT = "right"
    """The user lacks a right."""
    DUPLICATE = "duplicate"
    """A unique index has the value already."""
    DOCUMENT = "document"
    """A document, or the operation on it."""
    EITHER = "either"
    """The server uses the code for documents and for other things."""
    UNKNOWN = "unknown"
    """None of these."""


_DUPLICATE_KEY = 11000
_UNAUTHORIZED = 13
_ATLAS = 8000

_LOGIN = {
    11: "UserNotFound",
    18: "AuthenticationFailed",
    334: "MechanismUnavailable",
}

_DOCUMENT = {
    15: "Overflow",  # nested too deep
    22: "InvalidBSON",
    52: "DollarPrefixedFieldName",
    53: "InvalidIdField",
    54: "NotSingleValueField",
    56: "EmptyFieldName",
    57: "DottedFieldName",
    61: "ShardKeyNotFound",  # also: an array in the shard key
    66: "ImmutableField",
    111: "NotExactValueField",  # an array in the path of the shard key
    121: "DocumentValidationFailure",
    171: "CannotIndexParallelArrays",
    201: "CannotBuildIndexKeys",  # an array under a text index
    378: "NonConformantBSON",
    10334: "BSONObjectTooLarge",
    13026: "2d index: not numbers",
    13027: "2d index: out of bounds",
    13067: "2d index: empty",
    13068: "2d index: one number only",
    16675: "text index: an array before the text",
    16732: "text index: too many terms",
    16733: "text index: too much text",
    16746: "numeric field name inside an array",
    16755: "2dsphere index: no geometry",
    16756: "2dsphere index: no keys for the geometry",
    16766: "hashed index: an array",
    16804: "2d index: no location",
    17261: "text index: the language is no string",
    17262: "text index: unknown language",
    17280: "KeyTooLong",
    17419: "too large after the update",
    17420: "too large to upsert",
    # An application wrote something else into our metadata field, so that our expressions fail.
    28664: "$concatArrays: no array",
    40394: "$arrayToObject: a name that is no string",
    40400: "$mergeObjects: no object",
}

_EITHER = {
    2: "BadValue",  # too large to insert; also options that the server does not take
}

_WHOLE_COMMAND = frozenset({15, 22, 378, 10334})
"""Codes with which the server refuses a whole command because it cannot read one document in it."""

# Codes of the categories NetworkError, NotPrimaryError, ShutdownError, WriteConcernError, Interruption,
# ExceededTimeLimitError, RetriableError and SystemOverloadedError, and of locks and routing: they pass.
_SERVER = {
    6: "HostUnreachable",
    7: "HostNotFound",
    24: "LockTimeout",
    46: "LockBusy",
    50: "MaxTimeMSExpired",
    63: "StaleShardVersion",
    64: "WriteConcernTimeout",
    75: "WriteConcernLegacyOK",
    70: "ShardNotFound",  # what the router knows is old
    79: "UnknownReplWriteConcern",
    82: "NoProgressMade",  # the router got stale answers, again and again
    83: "RemoteResultsUnavailable",  # a shard did not answer the router
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
    250: "StaleChunkHistory",
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
    16500: "TooManyRequests",  # Azure Cosmos DB
    46841: "ClientMarkedKilled",
    50915: "BackupCursorOpenConflictWithCheckpoint",
    91331: "RetriableRemoteCommandFailure",
    10045600: "InterruptedDueToFCVChange",
}

# What a server answers that lacks what every write needs: updates with a pipeline, retryable writes, a
# command, an expression.
_CANNOT = {
    9: "FailedToParse",
    14: "TypeMismatch",
    20: "IllegalOperation",
    40: "ConflictingUpdateOperators",
    59: "CommandNotFound",
    72: "InvalidOptions",
    115: "CommandNotSupported",
    168: "InvalidPipelineOperator",
    238: "NotImplemented",
    263: "OperationNotSupportedInTransaction",
    301: "retryable writes are not supported (Amazon DocumentDB, Azure Cosmos DB)",
    303: "feature not supported (Amazon DocumentDB)",
    304: "aggregation expression not supported (Amazon DocumentDB)",
    323: "APIStrictError",
    17276: "unknown variable: it leaves out the constants of an update",
    40324: "unknown pipeline stage",
    40415: "unknown field of a command",
    50768: "NotARetryableWriteCommand",
}


def meaning_of(code: int | None, text: str = "") -> Meaning:
    """Returns the meaning of an error code.

    Args:
        code: the code; None: the error has none.
        text: the server's words. They count only for Atlas' own code, which stands for several things.
    """
    if code is None:
        return Meaning.UNKNOWN
    if code == _DUPLICATE_KEY:
        return Meaning.DUPLICATE
    if code == _UNAUTHORIZED:
        return Meaning.RIGHT
    if code == _ATLAS:
        return _meaning_at_atlas(text.lower())
    tables = (
        (_SERVER, Meaning.SERVER),
        (_DOCUMENT, Meaning.DOCUMENT),
        (_LOGIN, Meaning.LOGIN),
        (_EITHER, Meaning.EITHER),
    )
    return next((meaning for table, meaning in tables if code in table), Meaning.UNKNOWN)


def _meaning_at_atlas(text: str) -> Meaning:
    if "space quota" in text:  # of the whole cluster
        return Meaning.SERVER
    if "not allowed to do action" in text or "not authorized" in text:
        return Meaning.RIGHT
    if "bad auth" in text or "authentication failed" in text:
        return Meaning.LOGIN
    return Meaning.UNKNOWN


def is_of_whole_command(code: int) -> bool:
    """Whether the server refuses a whole command with this code because of one document in it."""
    return code in _WHOLE_COMMAND


def says_it_cannot(code: int | None, text: str) -> bool:
    """Whether a server says, by code or in words, that it does not have what a write needs."""
    return code in _CANNOT or "retryable writes are not supported" in text.lower()
