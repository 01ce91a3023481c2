"""Versions of real streams."""

from itertools import pairwise

import pytest

from shared.change import Change, Op
from shared.errors import PoisonError
from shared.version import encode_version

LABEL = "2020-04-30T17:47:21.395"


def test_documented_shard_lineage() -> None:
    """The numbers of AWS's DescribeStream example, parent to child, grow though they do not as strings."""
    lineage = [
        "20500000000000000910398",
        "820400000000000001192334",
        "1683700000000000001135967",
        "2574600000000000000935255",
    ]
    assert lineage != sorted(lineage)
    versions = [encode_version(LABEL, number) for number in lineage]
    assert all(earlier < later for earlier, later in pairwise(versions))


def test_stored_form() -> None:
    """The form that documents hold: changing it would make every stored version meaningless."""
    assert encode_version(LABEL, "820400000000000001192334") == f"{LABEL} 24 820400000000000001192334"


def test_longest_number() -> None:
    """Two digits count the digits, so 99 of them can be ordered."""
    assert encode_version(LABEL, "9" * 99) == f"{LABEL} 99 {'9' * 99}"


def test_a_new_stream_begins_anew() -> None:
    """Changes of a re-enabled stream are newer than all of the one before, whatever their numbers."""
    assert encode_version("2020-05-01T00:00:00.000", "1") > encode_version(LABEL, "9" * 40)


@pytest.mark.parametrize(
    "sequence", ["", "-1", "+1", " 1", "1 ", "1_000", "1e3", "1.0", "\u0661", "x", "9" * 100]
)
def test_malformed_number_is_poison(sequence: str) -> None:
    """A sequence number that could not be ordered is refused."""
    with pytest.raises(PoisonError) as caught:
        encode_version(LABEL, sequence)
    assert caught.value.code == "bad-version"


def test_version_of_a_change() -> None:
    """A change's version is that of its stream and number."""
    change = Change("t", LABEL, "42", Op.DELETE, {"id": 1}, 0, "e")
    assert change.version == encode_version(LABEL, "42")
