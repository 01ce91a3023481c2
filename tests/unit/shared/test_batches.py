"""Cutting entries into calls that SQS accepts."""

import pytest

from shared.batches import batches


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([], []),
        ([5], [[5]]),
        ([1] * 10, [[1] * 10]),
        ([1] * 11, [[1] * 10, [1]]),
        ([60, 40], [[60, 40]]),
        ([60, 41], [[60], [41]]),
        ([40, 60, 1], [[40, 60], [1]]),
        ([60, 60, 40, 1], [[60], [60, 40], [1]]),
        ([101, 1], [[101], [1]]),
        ([1, 101, 1], [[1], [101], [1]]),
        ([0] * 12, [[0] * 10, [0] * 2]),
    ],
)
def test_at_most_ten_entries_and_the_limit(sizes: list[int], expected: list[list[int]]) -> None:
    """In order, as many as fit; what is too large for any call stands alone."""
    assert list(batches(sizes, lambda size: size, 100)) == expected


def test_without_a_size_only_the_count_matters() -> None:
    """Deletes and visibility changes have no limit of bytes."""
    assert [len(batch) for batch in batches(range(25))] == [10, 10, 5]
