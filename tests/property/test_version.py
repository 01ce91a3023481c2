"""Versions sort as strings in the order of the changes (P1, P2)."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.errors import PoisonError
from shared.version import BACKFILL, encode_version, just_after

LABEL = "2020-04-30T17:47:21.395"
# As many digits as AWS says (21 to 40), fewer, and those of emulators (30 and 56).
sequences = st.integers(1, 56).flatmap(lambda digits: st.integers(0, 10**digits - 1))
labels = st.builds(
    lambda moment, timespec, zone: moment.isoformat(timespec=timespec) + zone,
    st.datetimes(),
    st.sampled_from(["seconds", "milliseconds", "microseconds"]),
    st.sampled_from(["", "Z"]),
)
versions = st.tuples(labels, sequences)


@given(versions, versions)
@example((LABEL, 9), (f"{LABEL}5", 1))
@example((LABEL, 9), (LABEL, 10))
@example((LABEL, 0), (LABEL, 1))
def test_string_order_is_the_order_of_changes(first: tuple[str, int], second: tuple[str, int]) -> None:
    """Later label first, then the larger number, for numbers of any lengths; equal only if equal."""
    one, other = (encode_version(label, str(sequence)) for label, sequence in (first, second))
    assert (one < other) == (first < second)
    assert (one == other) == (first == second)
    # MongoDB compares the bytes.
    assert (one.encode() < other.encode()) == (first < second)


@given(labels, sequences, st.integers(1, 50))
def test_leading_zeros_mean_nothing(label: str, sequence: int, zeros: int) -> None:
    """A number has one version, however it is padded."""
    assert encode_version(label, "0" * zeros + str(sequence)) == encode_version(label, str(sequence))


@given(versions)
def test_a_scan_is_older_than_any_change(version: tuple[str, int]) -> None:
    """A backfilled image never wins over a change."""
    assert encode_version(version[0], str(version[1])) > BACKFILL


@given(versions, versions)
def test_just_after_is_between_a_version_and_every_later_one(
    first: tuple[str, int], second: tuple[str, int]
) -> None:
    """What is mended wins over what was seen, and loses to what follows; also twice, and after a scan."""
    low, high = sorted(encode_version(label, str(sequence)) for label, sequence in (first, second))
    for seen in (BACKFILL, low):
        assert seen < just_after(seen) < just_after(just_after(seen))
        if seen < high:
            assert just_after(just_after(seen)) < high


@given(
    st.one_of(labels, st.text(max_size=8)), st.text(st.sampled_from("0123456789+- _.e\u0661²"), max_size=101)
)
@example(LABEL, "")
@example(LABEL, "9" * 100)
@example(LABEL, "0" * 5000)
@example(LABEL, "\u0661")
@example(f"{LABEL} 01", "1")
@example("", "1")
@example("$v", "1")
def test_malformed_is_poison(label: str, sequence: str) -> None:
    """Anything is a version of exactly that label and number, or poison."""
    try:
        version = encode_version(label, sequence)
    except PoisonError as error:
        assert error.code == "bad-version"  # noqa: PT017 - one of two outcomes
    else:
        assert sequence.isdecimal()
        assert sequence.isascii()
        assert version.split(" ")[0] == label
        assert version.split(" ")[2] == (sequence.lstrip("0") or "0")


@pytest.mark.parametrize("label", ["", " ", "2020 ", "20\n20", "20\x0020", "\u0001"])
def test_labels_that_break_the_order_are_poison(label: str) -> None:
    """The separator and what sorts before it may not be in a label."""
    with pytest.raises(PoisonError, match="label"):
        encode_version(label, "1")
