"""Cutting a list into calls that are bounded in number and size. Pure.

A batch call of SQS takes at most 10 entries, and for sending at most 1 MiB in total
(source: Amazon SQS developer guide, "Amazon SQS message quotas").
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Entry = TypeVar("Entry")

MAX_ENTRIES = 10
"""Of a batch call of SQS."""


def batches(
    entries: Iterable[Entry],
    size: Callable[[Entry], int] | None = None,
    limit: int = 0,
    most: int = MAX_ENTRIES,
) -> Iterator[list[Entry]]:
    """Cuts `entries` into lists for one call each, in order.

    Args:
        entries: what to send.
        size: the bytes of one entry; None where the call has no size limit.
        limit: the bytes one call may carry. An entry larger than that stands alone.
        most: the entries one call may carry.
    """
    batch: list[Entry] = []
    total = 0
    for entry in entries:
        bytes_of_entry = size(entry) if size else 0
        if batch and (len(batch) == most or total + bytes_of_entry > limit > 0):
            yield batch
            batch, total = [], 0
        batch.append(entry)
        total += bytes_of_entry
    if batch:
        yield batch
