"""How much of a batch is worked on at once, so that memory is bounded whatever the messages are. Pure."""

from collections.abc import Iterator, Sequence

from shared.envelope import is_compressed
from writer.ports import Message

SLICE_CHARACTERS = 1024 * 1024
"""As many as the largest message has; a usual batch is much smaller. As objects it takes 60 MB at worst."""


def slices(messages: Sequence[Message]) -> Iterator[tuple[Sequence[Message], Sequence[Message]]]:
    """Cuts a batch, nearly always into one part.

    Until the inbox knows how large messages are it can receive ten of the largest, or ten that inflate.

    Returns:
        Parts in the order of the messages, each with all that comes after it. A compressed message is a part
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
    """Whether the part is a compressed message: of these the process works on one at a time."""
    return is_compressed(part[0].body)
