"""Versions of real streams."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest

from shared.change import Change, Op
from shared.errors import PoisonError
from shared.version import check_time, check_version, encode_version, is_possible, just_after

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


NOW = datetime(2026, 2, 28, 12, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    "label",
    [
        LABEL,
        "2026-03-01T11:59:59.999",  # a clock may be wrong by hours
        "2024-02-29T00:00:00.000",
        "2020-04-30T17:47:21",
        "2020-04-30T17:47:21.395Z",  # MiniStack's CloudFormation
        "2020-04-30T17:47:21.395123",
    ],
)
def test_labels_of_streams(label: str) -> None:
    """The timestamps that DynamoDB and its emulators give their streams are accepted."""
    check_version(label, "1")
    check_time(label, NOW)
    assert is_possible(encode_version(label, "1"), NOW)


@pytest.mark.parametrize(
    "label",
    [
        *("9999-12-31T23:59:59.999", "2099-01-01T00:00:00.000", "2026-03-01T12:00:00.001"),
        *("9", "2", "2020", "2020-04-30", "2026-02-29T00:00:00.000", "2020-13-01T00:00:00.000", "latest"),
        *("2020-04-30T24:00:00.000", "2020-04-30T23:60:00.000", "0000-01-01T00:00:00.000", "", "$v"),
        *("2020-04-30 17:47:21.395", "2020-04-30T17:47:21.395+01:00", "2020-04-30T17:47:21,395"),
        *("20200430T174721.395", "2020-W18-4T17:47:21.395", "2020-04-30T17:47:21.395ZZ", f" {LABEL}"),
        *(f"{LABEL}\n", "2020-04-3\u0660T17:47:21.395", "2020-04-30T17:47:21.", f"{LABEL} "),
    ],
)
def test_labels_of_no_stream(label: str) -> None:
    """What cannot be a stream's label by now would win, or lose, for ever: it is refused."""
    with pytest.raises(PoisonError, match="the stream label") as caught:
        check_time(label, NOW)
    assert caught.value.code == "bad-version"
    assert not is_possible(f"{label} 01 1", NOW)


def test_possible_versions() -> None:
    """Those of changes, of copied images, and of what was mended, any number of times."""
    for version in ("", encode_version(LABEL, "1"), encode_version(LABEL, "9" * 99)):
        assert is_possible(version, NOW)
        assert is_possible(just_after(just_after(version)), NOW)


@pytest.mark.parametrize(
    "rest", ["", " ", " 01", " 01 ", " 02 1", " 01 01", " 1 1", " 01 x", " 01 1 ", " 01 1+1", " 01 -1"]
)
def test_impossible_versions(rest: str) -> None:
    """A number that does not stand as we write it sorts anywhere."""
    assert not is_possible(LABEL + rest, NOW)
