"""Which letters of a dead-letter queue are meant, and what of the queue was not seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.aws import asking
from ops.console.exit_status import warn
from ops.queues.dead_letters import letter_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from types_boto3_sqs import SQSClient

    from ops.queues.dead_letters import Letter, Selection
    from ops.queues.queue_browser import QueueBrowser


def meant(held: QueueBrowser, selection: Selection, limit: int | None) -> Iterator[list[Letter]]:
    """The letters that are meant, as they are received; at most so many."""
    left = limit
    found: set[str] = set()
    for messages in held.batches():
        letters = [each for each in map(letter_of, messages) if selection.matches(each)][:left]
        if letters:
            yield letters
        if left is not None:
            left -= len(letters)
            if left <= 0:
                return
        found.update(letter.id for letter in letters)
        if selection.whole_ids and found.issuperset(selection.ids):
            return


def letters_in(sqs: SQSClient, url: str) -> int:
    """About how many letters there are, hidden ones included.

    Raises:
        CommandError: there is no such queue, or it cannot be read.
    """
    with asking("reading the attributes of the dead-letter queue"):
        attributes = sqs.get_queue_attributes(
            QueueUrl=url,
            AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
        )["Attributes"]
    return sum(map(int, attributes.values()))


def none_of(selection: Selection) -> str:
    """That there are none."""
    return "There are no dead letters." if selection.is_all else "There are no such dead letters."


def tell_unseen(held: QueueBrowser, before: int) -> None:
    """Says what of the queue was not seen, so that nobody takes a part for the whole."""
    if held.was_cut:
        warn(f"Ended after {held.seen:,} letters, for it took too long. Run it again for the rest.")
    elif before > held.seen:
        warn(
            f"About {before - held.seen:,} more could not be looked at: they are in somebody else's hands, "
            "or behind ten others of their message group."
        )
