"""Cuts a batch into slices that are worked on one after another, which bounds memory. Pure."""

from collections.abc import Iterator, Sequence

from shared.envelope import is_compressed
from writer.ports import Message

SLICE_CHARACTERS = 1024 * 1024
"""The size of the largest message; a usual batch is much smaller. In memory a slice takes at most 60 MB."""


def slices(messages: Sequence[Message]) -> Iterator[tuple[Sequence[Message], Sequence[Message]]]:
    """Cuts a batch, nearly always into one slice.

    Before the inbox knows how large messages are, it can receive ten of the largest, or ten compressed ones.

    Returns:
        Slices in the order of the messages, each with the messages after it. A compressed message is a slice
        of its own.
    """
    start, size = 0, 0
    for index, message in enumerate(messages):
        if index > start and (
            size + len(message.body) > SLICE_CHARACTERS
            or is_compressed(message.body)
            or is_compressed(messages[start].body)
        ):
            yield messages[start:index], messages[index:]
            start, size = index, 0
        size += len(message.body)
    yield messages[start:], ()


def inflates(part: Sequence[Message]) -> bool:
    """Whether it is a compressed message, of which the process works on one at a time."""
    return is_compressed(part[0].body)
