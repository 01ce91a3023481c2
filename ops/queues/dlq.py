"""`replicator dlq`: the commands for dead letters."""

from __future__ import annotations

import functools
import json
import time
from collections import Counter
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from ops.aws import Aws
from ops.console.exit_status import FOUND, UNKNOWN, WELL, CommandError, exits_with_status, warn
from ops.console.terminal import count
from ops.options import (
    DeadLetterOption,
    EndpointOption,
    JsonLinesOption,
    QueueOption,
    RegionOption,
    StackOption,
)
from ops.pipeline import Pipeline, find_pipeline
from ops.queues.actions import Outcome, Redrive, drop, new_backup, restore
from ops.queues.queue_browser import QueueBrowser, letters_in
from ops.queues.selection import (
    AllOption,
    CodeOption,
    Ids,
    KeyOption,
    LimitOption,
    Selection,
    TableOption,
    selection_to_change,
)
from ops.queues.view import letter_data, numbers_of, print_letter, print_rows, row_of
from shared.file_errors import words_of_file_error

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from types_boto3_sqs import SQSClient

    from ops.queues.dead_letters import Letter

_RETURN_SECONDS = 20.0
"""For checking whether redriven letters come back, at most: what it looks at is hidden from others."""

_LOOKS = 4

app = typer.Typer(
    name="dlq",
    add_completion=False,  # that of `replicator` completes it, too
    help="List, show, redrive and drop dead letters.\n\n"
    "While one of these commands looks at letters, they are hidden from others. They become visible again "
    "when it ends, or after five minutes if it is killed. Letters that SQS itself moved here (code "
    "moved-by-sqs) are "
    "in message groups, and only the first ten of each group can be seen at a time.",
    no_args_is_help=True,
)


@app.command("list")
@exits_with_status
def list_letters(  # noqa: PLR0913 - one parameter per option
    *,
    table: TableOption = None,
    key: KeyOption = None,
    code: CodeOption = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, metavar="NUMBER", help="Show at most this many letters.")
    ] = 100,
    as_json: JsonLinesOption = False,
    stack: StackOption = "",
    queue_url: QueueOption = "",
    dead_letter_queue_url: DeadLetterOption = "",
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
) -> None:
    """List dead letters.

    Exit status: 0 if there are none, 1 if there are some, 2 for wrong use or a
    queue that cannot be reached, 3 if none was found and not all could be
    looked at.
    """
    aws = Aws(endpoint_url, region)
    url = find_pipeline(aws, stack, Pipeline(queue_url, dead_letter_queue_url)).dead_letter_queue
    selection = Selection(table=table, key=key, code=code)
    rows: list[tuple[str, ...]] = []
    codes: Counter[str] = Counter()
    expected = letters_in(aws.sqs, url)
    with QueueBrowser(aws.sqs, url) as browser:
        for letters in browser.selected(selection, limit):
            for letter in letters:
                codes[letter.code] += 1
                if as_json:
                    typer.echo(json.dumps(letter_data(letter)))
                else:
                    rows.append(row_of(letter, time.time()))
    found, all_seen = codes.total(), browser.all_seen(expected)
    if not as_json:
        if rows:
            print_rows(rows)
            typer.echo("")
        none_found = selection.none_found(all_seen=all_seen)
        typer.echo(f"{count(found, 'dead letter')}: {numbers_of(codes)}." if found else none_found)
    if found == limit < expected:
        warn(f"These are the first {limit}; the queue has about {expected:,}. --limit shows more.")
    else:
        browser.report_unseen(expected)
    raise typer.Exit(FOUND if found else WELL if all_seen else UNKNOWN)


@app.command("show")
@exits_with_status
def show_letter(  # noqa: PLR0913 - one parameter per option
    message: Annotated[str, typer.Argument(metavar="ID", help="Its message id, or the beginning of it.")],
    *,
    as_json: JsonLinesOption = False,
    stack: StackOption = "",
    queue_url: QueueOption = "",
    dead_letter_queue_url: DeadLetterOption = "",
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
) -> None:
    """Show all of one dead letter, its documents included.

    Exit status: 0 if it is there, 1 if not, 2 for wrong use or a queue that
    cannot be reached, 3 if it was not found and not all could be looked at.
    """
    aws = Aws(endpoint_url, region)
    url = find_pipeline(aws, stack, Pipeline(queue_url, dead_letter_queue_url)).dead_letter_queue
    expected = letters_in(aws.sqs, url)
    with QueueBrowser(aws.sqs, url) as browser:
        found = [each for letters in browser.selected(Selection(ids=[message]), 2) for each in letters]
    if not found:
        warn(f"There is no dead letter {message}, or someone else has it right now.")
        raise typer.Exit(FOUND if browser.all_seen(expected) else UNKNOWN)
    if len(found) > 1:
        raise CommandError(f"several ids begin with {message}, such as {found[0].id} and {found[1].id}")
    if as_json:
        typer.echo(json.dumps(letter_data(found[0])))
    else:
        print_letter(found[0], time.time())


@app.command("redrive")
@exits_with_status
def redrive_letters(  # noqa: PLR0913 - one parameter per option
    ids: Ids = None,
    *,
    table: TableOption = None,
    key: KeyOption = None,
    code: CodeOption = None,
    limit: LimitOption = None,
    every: AllOption = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also letters that cannot be read and would be parked again.")
    ] = False,
    stack: StackOption = "",
    queue_url: QueueOption = "",
    dead_letter_queue_url: DeadLetterOption = "",
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
) -> None:
    """Send dead letters to the queue again. Fix the cause first.

    Each letter is sent to the message group that it came from, and then
    deleted here. That is safe at any time, in any order, and more than once: a
    change does nothing if a newer one was applied. If the command is
    interrupted, a letter is at worst in both queues. At the end the command
    checks whether letters come back, as they do at once if the cause is still
    there: those are not counted.

    Exit status: 0 if all selected letters are redriven, 1 if some stay or come
    back, or none was found, 2 for wrong use or a queue that cannot be reached,
    3 if not everything could be looked at, so that some may have come back, or
    may not have been found.
    """
    selection = selection_to_change(ids, table, key, code, every=every)
    aws = Aws(endpoint_url, region)
    parts = find_pipeline(aws, stack, Pipeline(queue_url, dead_letter_queue_url))
    url = parts.dead_letter_queue
    if parts.queue == url:
        raise CommandError("the queue and the dead-letter queue are the same")
    action = Redrive(aws.sqs, parts.queue, force=force)
    outcome = Outcome()
    expected = letters_in(aws.sqs, url)
    with QueueBrowser(aws.sqs, url) as browser:
        try:
            look = functools.partial(action.without_returned, outcome=outcome)
            for letters in browser.selected(selection, limit, others=look):
                action.perform(browser, letters, outcome)
            unseen = _watch_returns(aws.sqs, url, browser, look) if outcome.done else 0
        finally:
            typer.echo(f"{count(outcome.done, 'letter')} redriven.")
    _report_returned(outcome)
    if unseen > 0 and not (outcome.kept or outcome.returned or browser.has_odd):
        warn(
            f"Cannot tell whether letters came back: about {unseen:,} in the dead-letter queue could not be "
            "read. See replicator dlq list in a minute."
        )
        raise typer.Exit(UNKNOWN)
    _finish(outcome, selection, browser, expected)


@app.command("drop")
@exits_with_status
def drop_letters(  # noqa: PLR0913 - one parameter per option
    ids: Ids = None,
    *,
    table: TableOption = None,
    key: KeyOption = None,
    code: CodeOption = None,
    limit: LimitOption = None,
    every: AllOption = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    backup: Annotated[
        Path | None,
        typer.Option(
            "--backup",
            metavar="FILE",
            help="File to write them to first, one JSON object per line. It must not exist yet.",
            show_default="dropped-letters-TIME.jsonl",
        ),
    ] = None,
    stack: StackOption = "",
    queue_url: QueueOption = "",
    dead_letter_queue_url: DeadLetterOption = "",
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
) -> None:
    """Delete dead letters for good, after writing them to a file.

    Exit status: 0 if all selected letters are dropped, 1 if some stay, none
    was found, or the answer was no, 2 for wrong use or a queue that cannot be
    reached, 3 if none was found and not all could be looked at.
    """
    selection = selection_to_change(ids, table, key, code, every=every)
    aws = Aws(endpoint_url, region)
    url = find_pipeline(aws, stack, Pipeline(queue_url, dead_letter_queue_url)).dead_letter_queue
    if not yes and not _confirmed(aws.sqs, url, selection, limit):
        raise typer.Exit(FOUND)
    path = backup or Path(f"dropped-letters-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.jsonl")
    outcome = Outcome()
    expected = letters_in(aws.sqs, url)
    try:
        with QueueBrowser(aws.sqs, url) as browser, ExitStack() as files:
            file: TextIO | None = None
            for letters in browser.selected(selection, limit):
                file = file or files.enter_context(new_backup(path))
                drop(browser, letters, file, outcome)
    except OSError as error:
        why = (
            f"the backup {path} cannot be written: {words_of_file_error(error)}; letters that are not in "
            "it were kept"
        )
        raise CommandError(why) from error
    finally:
        where = f"; the backup is {path}" if outcome.done else ""
        typer.echo(f"{count(outcome.done, 'letter')} dropped{where}.")
    _finish(outcome, selection, browser, expected)


@app.command("restore")
@exits_with_status
def restore_letters(  # noqa: PLR0913 - one parameter per option
    backup: Annotated[
        Path,
        typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="What `dlq drop` wrote."),
    ],
    *,
    stack: StackOption = "",
    queue_url: QueueOption = "",
    dead_letter_queue_url: DeadLetterOption = "",
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
) -> None:
    """Put letters that were dropped back into the dead-letter queue.

    Exit status: 0 if all are there again, 1 if SQS refused some, 2 for wrong
    use or a queue that cannot be reached.
    """
    aws = Aws(endpoint_url, region)
    url = find_pipeline(aws, stack, Pipeline(queue_url, dead_letter_queue_url)).dead_letter_queue
    try:
        with backup.open(encoding="utf-8") as lines:
            outcome = restore(aws.sqs, url, lines)
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{backup} cannot be read: {words_of_file_error(error)}") from error
    typer.echo(f"{count(outcome.done, 'letter')} restored.")
    for each, why in outcome.kept.items():
        warn(f"The letter {each} was not restored: {why}.")
    raise typer.Exit(FOUND if outcome.kept else WELL)


def _confirmed(sqs: SQSClient, url: str, selection: Selection, limit: int | None) -> bool:
    """Counts the selected letters, and asks whether to drop them."""
    codes: Counter[str] = Counter()
    expected = letters_in(sqs, url)
    with QueueBrowser(sqs, url) as browser:
        for letters in browser.selected(selection, limit):
            codes.update(letter.code for letter in letters)
    if not codes:
        typer.echo(selection.none_found(all_seen=browser.all_seen(expected)))
        browser.report_unseen(expected)
        raise typer.Exit(FOUND if browser.all_seen(expected) else UNKNOWN)
    try:
        confirmed = typer.confirm(f"Drop {count(codes.total(), 'dead letter')} ({numbers_of(codes)})?")
    except typer.Abort:
        confirmed = False
        typer.echo("")
    if not confirmed:
        typer.echo("Nothing was dropped.")
    return confirmed


def _watch_returns(
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


def _report_returned(outcome: Outcome) -> None:
    """Reports what came back, and why."""
    for reason, number in Counter(outcome.returned.values()).most_common():
        example = next(each for each, why in outcome.returned.items() if why == reason)
        warn(f"{count(number, 'letter')} came back, such as {example}: {reason}. Fix the cause first.")


def _finish(outcome: Outcome, selection: Selection, browser: QueueBrowser, expected: int) -> NoReturn:
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
