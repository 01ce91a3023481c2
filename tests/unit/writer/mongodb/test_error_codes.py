"""MongoDB's error codes: only what is on a list is taken for the server's or a document's."""

from __future__ import annotations

import pytest
from pymongo.helpers_shared import _NOT_PRIMARY_CODES, _REAUTHENTICATION_REQUIRED_CODE, _SHUTDOWN_CODES

from tests.support.server_codes import server_codes
from writer.mongodb.error_codes import Meaning, meaning_of, says_it_cannot

# The retryable errors of the drivers' specification "Retryable Writes".
RETRYABLE = {6, 7, 89, 91, 134, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436}

# The codes that the server's `AbstractIndexAccessMethod::getKeys` takes for faults of a document.
OF_INDEX_KEYS = {201, 171, 16732, 16733, 16675, 17261, 17262, 16766, 16746, 16755, 16756, 16804}
OF_INDEX_KEYS |= {13067, 13068, 13026, 13027}

OF_DOCUMENTS = {15, 22, 52, 53, 54, 56, 57, 61, 66, 111, 121, 378, 10334, 17280, 17419, 17420}
OF_OUR_METADATA = {28664, 40394, 40400}


@pytest.mark.parametrize("code", sorted(RETRYABLE | set(_NOT_PRIMARY_CODES) | set(_SHUTDOWN_CODES)))
def test_what_the_driver_may_retry_is_of_the_server(code: int) -> None:
    """Elections, shutdowns, network: P4."""
    assert meaning_of(code) is Meaning.SERVER


def test_the_faults_of_documents_are_these() -> None:
    """Nothing else is ever parked: a code joins the list here first."""
    listed = {code for code in range(100_000) if meaning_of(code) is Meaning.DOCUMENT}
    assert listed == OF_INDEX_KEYS | OF_DOCUMENTS | OF_OUR_METADATA


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        (11601, Meaning.SERVER),  # Interrupted: an operator's killOp
        (64, Meaning.SERVER),  # WriteConcernTimeout
        (100, Meaning.SERVER),  # UnsatisfiableWriteConcern
        (112, Meaning.SERVER),  # WriteConflict
        (14031, Meaning.SERVER),  # OutOfDiskSpace
        (13388, Meaning.SERVER),  # StaleConfig
        (462, Meaning.SERVER),  # IngressRequestRateLimitExceeded
        (16500, Meaning.SERVER),  # TooManyRequests of Azure Cosmos DB
        (13, Meaning.RIGHT),  # Unauthorized
        (11, Meaning.LOGIN),  # UserNotFound: a certificate of nobody
        (18, Meaning.LOGIN),  # AuthenticationFailed
        (11000, Meaning.DUPLICATE),  # DuplicateKey
        (2, Meaning.EITHER),  # BadValue
        (70, Meaning.SERVER),  # ShardNotFound
        (82, Meaning.SERVER),  # NoProgressMade
        (83, Meaning.SERVER),  # RemoteResultsUnavailable
        (250, Meaning.SERVER),  # StaleChunkHistory
        (211, Meaning.UNKNOWN),  # KeyNotFound: the keys of the cluster time
        (225, Meaning.UNKNOWN),  # TransactionTooOld
        (314, Meaning.UNKNOWN),  # ObjectIsBusy
        (338, Meaning.UNKNOWN),  # ReshardCollectionInProgress
        (_REAUTHENTICATION_REQUIRED_CODE, Meaning.UNKNOWN),  # reaches us only if the driver could not
        (123456, Meaning.UNKNOWN),
        (None, Meaning.UNKNOWN),
    ],
)
def test_meanings(code: int | None, meaning: Meaning) -> None:
    """One code, one meaning; a code that nobody knows is about no document."""
    assert meaning_of(code) is meaning


@pytest.mark.parametrize(
    ("words", "meaning"),
    [
        ("you are over your space quota, using 512 MB of 512 MB", Meaning.SERVER),
        ("bad auth : Authentication failed.", Meaning.LOGIN),
        ("user is not allowed to do action [insert] on [shop.orders]", Meaning.RIGHT),
        ("cannot create a new collection -- already using 500 collections of 500", Meaning.UNKNOWN),
        ("", Meaning.UNKNOWN),
    ],
)
def test_the_code_of_atlas_is_told_apart_by_its_words(words: str, meaning: Meaning) -> None:
    """8000 stands for a full cluster, a wrong password, a missing right, and more."""
    assert meaning_of(8000, words) is meaning


def test_most_codes_of_the_server_are_unknown() -> None:
    """The list of all codes has the names that the tables have, and all of them are judged."""
    codes = server_codes()
    assert len(codes) > 380
    unknown = [code for code in codes if meaning_of(code) is Meaning.UNKNOWN]
    assert len(unknown) > len(codes) / 2


@pytest.mark.parametrize("code", [238, 301, 115, 303, 59, 20])
def test_a_server_that_lacks_something_says_so(code: int) -> None:
    """By code, or in words."""
    assert says_it_cannot(code, "")
    assert says_it_cannot(None, "Retryable writes are not supported. Please disable them")
    assert not says_it_cannot(82, "")
