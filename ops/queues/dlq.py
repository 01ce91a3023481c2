"""`replicator dlq`: the commands for dead letters."""

from __future__ import annotations

import functools
import json
import time
from collections import Counter
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ops.aws import Aws
from ops.console.exit_status import FOUND, UNKNOWN, WELL, CommandError, exits_with_status, warn
from ops.console.terminal import count
from ops.options import (
    DeadLetterOption,
    EndpointOption,
    JsonLinesOption,
    MongodbDatabaseOption,
    MongodbUriOption,
    QueueOption,
    RegionOption,
    StackOption,
)
from ops.pipeline import Pipeline, find_pipeline
from ops.queues.actions import Outcome, Redrive, drop, new_backup, restore, restore_stored
from ops.queues.place import Place
from ops.queues.queue_browser import QueueBrowser, letters_in
from ops.queues.redriving import finish, redrive_stored, report_returned, watch_returns
from ops.queues.selection import (
    AllOption,
    CodeOption,
    Ids,
    KeyOption,
    LimitOption,
    MongodbOption,
    Selection,
    TableOption,
    selection_to_change,
)
from ops.queues.stored_letters import StoredLetters
from ops.queues.view import letter_data, numbers_of, print_letter, print_rows, row_of
from shared.file_errors import words_of_file_error

if TYPE_CHECKING:
    from typing import TextIO


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
    mongodb: MongodbOption = False,
    mongodb_uri: MongodbUriOption = "",
    mongodb_database: MongodbDatabaseOption = "",
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
) -> None:
    """List dead letters.

    Exit status: 0 if there are none, 1 if there are some, 2 for wrong use or a
    queue that cannot be reached, 3 if none was found and not all could be
    looked at.
    """
    parts = Pipeline(queue_url, dead_letter_queue_url)
    place = Place(Aws(endpoint_url, region), stack, parts, mongodb, mongodb_uri, mongodb_database)
    selection = Selection(table=table, key=key, code=code)
    rows: list[tuple[str, ...]] = []
    codes: Counter[str] = Counter()
    with place.open() as (browser, expected):
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
        where = "the collection" if mongodb else "the queue"
        warn(f"These are the first {limit}; {where} has about {expected:,}. --limit shows more.")
    else:
        browser.report_unseen(expected)
    if isinstance(browser, StoredLetters) and browser.marked:
        warn(f"{browser.marked:,} of them are redriven, and wait for the process that follows their table.")
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
    mongodb: MongodbOption = False,
    mongodb_uri: MongodbUriOption = "",
    mongodb_database: MongodbDatabaseOption = "",
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
) -> None:
    """Show all of one dead letter, its documents included.

    Exit status: 0 if it is there, 1 if not, 2 for wrong use or a queue that
    cannot be reached, 3 if it was not found and not all could be looked at.
    """
    parts = Pipeline(queue_url, dead_letter_queue_url)
    place = Place(Aws(endpoint_url, region), stack, parts, mongodb, mongodb_uri, mongodb_database)
    with place.open() as (browser, expected):
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
    mongodb: MongodbOption = False,
    mongodb_uri: MongodbUriOption = "",
    mongodb_database: MongodbDatabaseOption = "",
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

    With --mongodb the letters are marked, and the process that follows their
    table applies them, and deletes them then. If none follows it now, the next
    one does when it starts.

    Exit status: 0 if all selected letters are redriven, 1 if some stay or come
    back, or none was found, 2 for wrong use or a queue that cannot be reached,
    3 if not everything could be looked at, so that some may have come back, or
    may not have been found, or if marked ones are not applied yet.
    """
    selection = selection_to_change(ids, table, key, code, every=every)
    aws = Aws(endpoint_url, region)
    if mongodb:
        with StoredLetters(mongodb_uri, mongodb_database) as stored:
            redrive_stored(stored, selection, limit, force=force)
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
            unseen = watch_returns(aws.sqs, url, browser, look) if outcome.done else 0
        finally:
            typer.echo(f"{count(outcome.done, 'letter')} redriven.")
    report_returned(outcome)
    if unseen > 0 and not (outcome.kept or outcome.returned or browser.has_odd):
        warn(
            f"Cannot tell whether letters came back: about {unseen:,} in the dead-letter queue could not be "
            "read. See replicator dlq list in a minute."
        )
        raise typer.Exit(UNKNOWN)
    finish(outcome, selection, browser, expected)


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
    mongodb: MongodbOption = False,
    mongodb_uri: MongodbUriOption = "",
    mongodb_database: MongodbDatabaseOption = "",
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
) -> None:
    """Delete dead letters for good, after writing them to a file.

    Exit status: 0 if all selected letters are dropped, 1 if some stay, none
    was found, or the answer was no, 2 for wrong use or a queue that cannot be
    reached, 3 if none was found and not all could be looked at.
    """
    selection = selection_to_change(ids, table, key, code, every=every)
    parts = Pipeline(queue_url, dead_letter_queue_url)
    place = Place(Aws(endpoint_url, region), stack, parts, mongodb, mongodb_uri, mongodb_database)
    if not yes and not _confirmed(place, selection, limit):
        raise typer.Exit(FOUND)
    path = backup or Path(f"dropped-letters-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.jsonl")
    outcome = Outcome()
    try:
        with place.open() as (browser, expected), ExitStack() as files:
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
    finish(outcome, selection, browser, expected)


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
    mongodb: MongodbOption = False,
    mongodb_uri: MongodbUriOption = "",
    mongodb_database: MongodbDatabaseOption = "",
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
) -> None:
    """Put letters that were dropped back into the dead-letter queue, or with --mongodb into MongoDB.

    Exit status: 0 if all are there again, 1 if SQS refused some, 2 for wrong
    use or a queue that cannot be reached.
    """
    aws = Aws(endpoint_url, region)
    try:
        with backup.open(encoding="utf-8") as lines, ExitStack() as resources:
            if mongodb:
                stored = resources.enter_context(StoredLetters(mongodb_uri, mongodb_database))
                outcome = restore_stored(stored, lines)
            else:
                url = find_pipeline(aws, stack, Pipeline(queue_url, dead_letter_queue_url)).dead_letter_queue
                outcome = restore(aws.sqs, url, lines)
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{backup} cannot be read: {words_of_file_error(error)}") from error
    typer.echo(f"{count(outcome.done, 'letter')} restored.")
    for each, why in outcome.kept.items():
        warn(f"The letter {each} was not restored: {why}.")
    raise typer.Exit(FOUND if outcome.kept else WELL)


def _confirmed(place: Place, selection: Selection, limit: int | None) -> bool:
    """Counts the selected letters, and asks whether to drop them."""
    codes: Counter[str] = Counter()
    with place.open() as (browser, expected):
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
