"""`replicator dlq`: what is in the dead-letter queue, and what becomes of it."""

from __future__ import annotations

import json
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ops.aws import Aws
from ops.console.exit_status import FOUND, WELL, CommandError, exits_with_status, warn
from ops.console.terminal import count, printable
from ops.pipeline import DeadLetterOption, Pipeline, QueueOption, StackOption, find_pipeline
from ops.queues.dead_letters import Selection
from ops.queues.dlq_actions import Done, Drop, Redrive, restore
from ops.queues.dlq_options import (
    ActLimit,
    AllOption,
    CodeOption,
    Ids,
    JsonOption,
    KeyOption,
    ShowLimit,
    TableOption,
)
from ops.queues.dlq_reading import letters_in, meant, none_of, tell_unseen
from ops.queues.queue_browser import QueueBrowser
from ops.queues.view import letter_data, print_letter, print_rows, row_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ops.queues.dead_letters import Letter

DEAD_LETTERS = "the dead-letter queue"
_FEWEST_CHARACTERS = 4
"""Of an id. By less, or by nothing at all, nobody means a letter."""

app = typer.Typer(
    name="dlq",
    help="List, show, redrive and drop dead letters.\n\n"
    "What one of these commands looks at is hidden from others meanwhile, and visible again at its end; if "
    "the command is killed, after five minutes. Messages that SQS itself moved here (code moved-by-sqs) are "
    "in message groups, of each of which only the first ten can be seen until those are gone.",
    no_args_is_help=True,
)


@app.command("list")
@exits_with_status
def list_letters(  # noqa: PLR0913 - one parameter per option
    *,
    table: TableOption = None,
    key: KeyOption = None,
    code: CodeOption = None,
    limit: ShowLimit = 100,
    as_json: JsonOption = False,
    stack: StackOption = "",
    queue_url: QueueOption = "",
    dead_letter_queue_url: DeadLetterOption = "",
) -> None:
    """List dead letters.

    Exit status: 0 if there are none, 1 if there are some, 2 for wrong use or
    a queue that cannot be reached.
    """
    aws, url = _open(stack, queue_url, dead_letter_queue_url)
    selection = Selection(table=table, key=key, code=code)
    rows: list[tuple[str, ...]] = []
    codes: Counter[str] = Counter()
    before = letters_in(aws.sqs, url)
    with QueueBrowser(aws.sqs, url, DEAD_LETTERS) as held:
        for batch in meant(held, selection, limit):
            for letter in batch:
                codes[letter.code] += 1
                if as_json:
                    typer.echo(json.dumps(letter_data(letter)))
                else:
                    rows.append(row_of(letter, time.time()))
    found = codes.total()
    if not as_json:
        if rows:
            print_rows(rows)
            typer.echo("")
        by_code = ", ".join(f"{number} {printable(name)}" for name, number in codes.most_common())
        typer.echo(f"{count(found, 'dead letter')}: {by_code}." if found else none_of(selection))
    if found == limit < before:
        warn(f"These are the first {limit}; the queue has about {before:,}. --limit shows more.")
    else:
        tell_unseen(held, before)
    raise typer.Exit(FOUND if found else WELL)


@app.command("show")
@exits_with_status
def show(
    message: Annotated[str, typer.Argument(metavar="ID", help="Its message id, or how it begins.")],
    *,
    as_json: JsonOption = False,
    stack: StackOption = "",
    queue_url: QueueOption = "",
    dead_letter_queue_url: DeadLetterOption = "",
) -> None:
    """Show all of one dead letter, its documents included.

    Exit status: 0 if it is there, 1 if not, 2 for wrong use or a queue that
    cannot be reached.
    """
    aws, url = _open(stack, queue_url, dead_letter_queue_url)
    selection = Selection(ids=[message])
    found: list[Letter] = []
    with QueueBrowser(aws.sqs, url, DEAD_LETTERS) as held:
        for batch in meant(held, selection, None):
            found += batch
            if len(found) > 1:
                break
    if not found:
        warn(f"There is no dead letter {message}, or it is in somebody else's hands.")
        raise typer.Exit(FOUND)
    if len(found) > 1:
        raise CommandError(f"several ids begin with {message}, such as {found[0].id} and {found[1].id}")
    if as_json:
        typer.echo(json.dumps(letter_data(found[0])))
    else:
        print_letter(found[0], time.time())


@app.command("redrive")
@exits_with_status
def redrive(  # noqa: PLR0913 - one parameter per option
    ids: Ids = None,
    *,
    table: TableOption = None,
    key: KeyOption = None,
    code: CodeOption = None,
    limit: ActLimit = None,
    every: AllOption = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also what cannot be read, and would be parked again.")
    ] = False,
    stack: StackOption = "",
    queue_url: QueueOption = "",
    dead_letter_queue_url: DeadLetterOption = "",
) -> None:
    """Send dead letters to the queue again. Mend the cause first.

    Each is sent, to the message group that it came from, and then deleted
    here. That is safe at any time, in any order, and more than once: a change
    that a newer one has overtaken does nothing. Interrupted, a letter is at
    worst in both queues.

    Exit status: 0 if all that were meant are redriven, 1 if some stay or none
    was found, 2 for wrong use or a queue that cannot be reached.
    """
    selection = _selection(ids, table, key, code, every=every)
    aws, url, parts = _open_both(stack, queue_url, dead_letter_queue_url)
    if parts.queue == url:
        raise CommandError("the queue and the dead-letter queue are the same")
    action = Redrive(aws.sqs, parts.queue, force=force)
    done = Done()
    before = letters_in(aws.sqs, url)
    with QueueBrowser(aws.sqs, url, DEAD_LETTERS) as held:
        try:
            for batch in meant(held, selection, limit):
                action.perform(held, batch, done)
        finally:
            typer.echo(f"{count(done.done, 'letter')} redriven.")
    _finish(done, selection, held, before)


@app.command("drop")
@exits_with_status
def drop(  # noqa: PLR0913 - one parameter per option
    ids: Ids = None,
    *,
    table: TableOption = None,
    key: KeyOption = None,
    code: CodeOption = None,
    limit: ActLimit = None,
    every: AllOption = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    backup: Annotated[
        Path | None,
        typer.Option(
            "--backup",
            metavar="FILE",
            help="Where to write them first, one JSON object a line. It must not be there yet.",
            show_default="dropped-letters-TIME.jsonl",
        ),
    ] = None,
    stack: StackOption = "",
    queue_url: QueueOption = "",
    dead_letter_queue_url: DeadLetterOption = "",
) -> None:
    """Delete dead letters for good, after writing them to a file.

    Exit status: 0 if all that were meant are dropped, 1 if some stay, none
    was found, or the answer was no, 2 for wrong use or a queue that cannot be
    reached.
    """
    selection = _selection(ids, table, key, code, every=every)
    aws, url = _open(stack, queue_url, dead_letter_queue_url)
    if not yes and not _agreed(aws, url, selection, limit):
        raise typer.Exit(FOUND)
    path = backup or Path(f"dropped-letters-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.jsonl")
    done = Done()
    before = letters_in(aws.sqs, url)
    try:
        with QueueBrowser(aws.sqs, url, DEAD_LETTERS) as held, Drop(path) as action:
            for batch in meant(held, selection, limit):
                action.perform(held, batch, done)
    except OSError as error:
        why = f"the backup {path} cannot be written: {error.strerror}; what is not in it stays"
        raise CommandError(why) from error
    finally:
        where = f"; the backup is {path}" if done.done else ""
        typer.echo(f"{count(done.done, 'letter')} dropped{where}.")
    _finish(done, selection, held, before)


@app.command("restore")
@exits_with_status
def restore_letters(
    backup: Annotated[
        Path,
        typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="What `dlq drop` wrote."),
    ],
    *,
    stack: StackOption = "",
    queue_url: QueueOption = "",
    dead_letter_queue_url: DeadLetterOption = "",
) -> None:
    """Put letters that were dropped back into the dead-letter queue.

    Exit status: 0 if all are there again, 1 if SQS refused some, 2 for wrong
    use or a queue that cannot be reached.
    """
    aws, url = _open(stack, queue_url, dead_letter_queue_url)
    try:
        with backup.open(encoding="utf-8") as lines:
            done = restore(aws.sqs, url, lines)
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{backup} cannot be read: {error}") from error
    typer.echo(f"{count(done.done, 'letter')} restored.")
    for each, why in done.kept.items():
        warn(f"The letter {each} is not there: {why}.")
    raise typer.Exit(FOUND if done.kept else WELL)


def _agreed(aws: Aws, url: str, selection: Selection, limit: int | None) -> bool:
    """Counts what is meant, and asks."""
    codes: Counter[str] = Counter()
    with QueueBrowser(aws.sqs, url, DEAD_LETTERS) as held:
        for batch in meant(held, selection, limit):
            codes.update(letter.code for letter in batch)
    if not codes:
        typer.echo(none_of(selection))
        return False
    by_code = ", ".join(f"{number} {printable(name)}" for name, number in codes.most_common())
    try:
        agreed = typer.confirm(f"Drop {count(codes.total(), 'dead letter')} ({by_code})?")
    except typer.Abort:
        agreed = False
        typer.echo("")
    if not agreed:
        typer.echo("Nothing is dropped.")
    return agreed


def _open(stack: str, queue_url: str, dead_letter_queue_url: str) -> tuple[Aws, str]:
    aws, url, _ = _open_both(stack, queue_url, dead_letter_queue_url)
    return aws, url


def _open_both(stack: str, queue_url: str, dead_letter_queue_url: str) -> tuple[Aws, str, Pipeline]:
    aws = Aws()
    parts = find_pipeline(aws, stack, Pipeline(queue_url, dead_letter_queue_url))
    return aws, parts.dead_letter_queue, parts


def _selection(
    ids: Sequence[str] | None, table: str | None, key: str | None, code: str | None, *, every: bool
) -> Selection:
    if "" in (table, key, code) or any(len(each) < _FEWEST_CHARACTERS for each in ids or ()):
        raise CommandError(
            f"an ID needs {_FEWEST_CHARACTERS} characters at least, and an option its value: is a variable "
            "of the shell empty?"
        )
    selection = Selection(tuple(ids or ()), table, key, code)
    if selection.is_all and not every:
        raise CommandError("which letters? Name their IDs, --table, --key or --code, or say --all")
    return selection


def _finish(done: Done, selection: Selection, held: QueueBrowser, before: int) -> None:
    """Says what stays, and why; ends the command."""
    for reason, number in Counter(done.kept.values()).most_common():
        example = next(each for each, why in done.kept.items() if why == reason)
        warn(f"{count(number, 'letter')} stayed, such as {example}: {reason}.")
    if not done.done and not done.kept:
        warn(none_of(selection))
    if selection.is_all:
        tell_unseen(held, before)
    raise typer.Exit(WELL if done.done and not done.kept else FOUND)
