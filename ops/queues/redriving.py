"""What follows when letters were redriven or dropped: whether they come back, and how the command ends."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NoReturn

import typer

from ops.console.exit_status import FOUND, UNKNOWN, WELL, warn
from ops.console.terminal import count
from ops.queues.actions import Outcome
from ops.queues.queue_browser import letters_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from types_boto3_sqs import SQSClient

    from ops.queues.dead_letters import Letter
    from ops.queues.queue_browser import QueueBrowser
    from ops.queues.selection import Selection
    from ops.queues.stored_letters import StoredLetters

_RETURN_SECONDS = 20.0
"""For checking whether redriven letters come back, at most: what it looks at is hidden from others."""

_LOOKS = 4


def redrive_stored(
    stored: StoredLetters, selection: Selection, limit: int | None, *, force: bool
) -> NoReturn:
    """Marks letters in MongoDB, and waits a while until the processes that follow have applied them."""
    outcome = Outcome()
    marked: list[Letter] = []
    waiting: set[str] = set()
    try:
        for letters in stored.selected(selection, limit):
            marked += stored.mark(letters, outcome, force=force)
        waiting = stored.watch(marked, outcome, _RETURN_SECONDS)
    finally:
        typer.echo(f"{count(outcome.done, 'letter')} redriven.")
    report_returned(outcome)
    if waiting:
        letters = [each for each in marked if each.id in waiting]
        absent = stored.unfollowed(letters)
        who = "when the process that follows their table comes to them"
        if absent:
            named = ", ".join(filter(None, absent)) or "any table"
            who = f"when one starts: no process follows {named} now"
        warn(f"{count(len(waiting), 'letter')} are marked, and will be applied {who}.")
    if waiting and not (outcome.kept or outcome.returned):
        raise typer.Exit(UNKNOWN)
    finish(outcome, selection, stored, 0)


def watch_returns(
    sqs: SQSClient, url: str, browser: QueueBrowser, look: Callable[[list[Letter]], object]
) -> int:
    """Looks at what comes into the dead-letter queue; returns how many could not be looked at.

    SQS's numbers are late, and may count what was just deleted; so one that is too high is read again.
    """
    unseen = 0
    for _ in range(_LOOKS):
        for letters in browser.batches(_RETURN_SECONDS / _LOOKS):
            look(letters)
        unseen = letters_in(sqs, url) - browser.held
        if unseen <= 0:
            break
    return unseen


def report_returned(outcome: Outcome) -> None:
    """Reports what came back, and why."""
    for reason, number in Counter(outcome.returned.values()).most_common():
        example = next(each for each, why in outcome.returned.items() if why == reason)
        warn(f"{count(number, 'letter')} came back, such as {example}: {reason}. Fix the cause first.")


def finish(
    outcome: Outcome, selection: Selection, browser: QueueBrowser | StoredLetters, expected: int
) -> NoReturn:
    """Reports what stays, and why, and ends the command."""
    for reason, number in Counter(outcome.kept.values()).most_common():
        example = next(each for each, why in outcome.kept.items() if why == reason)
        warn(f"{count(number, 'letter')} stayed, such as {example}: {reason}.")
    none_found = not (outcome.done or outcome.kept or outcome.returned)
    if none_found:
        warn(selection.none_found(all_seen=browser.all_seen(expected)))
    if selection.is_all or none_found:
        browser.report_unseen(expected)
    if none_found and not browser.all_seen(expected):
        raise typer.Exit(UNKNOWN)
    is_well = outcome.done and not (outcome.kept or outcome.returned or browser.has_odd)
    raise typer.Exit(WELL if is_well else FOUND)
