"""`replicator peek`: the next messages of the queue, decoded. Law: it takes none of them.

With SQS you cannot see a message without receiving it. The least disturbing way is one receive with a
visibility timeout of 0: nothing is hidden from the writers, no message group is locked, and every message
keeps its place. But the receive counts, and SQS moves a message to the dead-letter queue after
`maxReceiveCount` receives. So the command receives once, a message is in the answer at most once, and the
command warns if a message was received too often.

Sources: Amazon SQS API reference, ReceiveMessage (VisibilityTimeout); developer guide, "Using dead-letter
queues in Amazon SQS".
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated

import typer

from ops.aws import Aws, asking
from ops.console.exit_status import FOUND, WELL, CommandError, exits_with_status, warn
from ops.console.terminal import Output, age, count
from ops.options import DeadLetterOption, EndpointOption, QueueOption, RegionOption, StackOption
from ops.pipeline import Pipeline, find_pipeline
from ops.queues.dead_letters import letter_of
from ops.queues.queue_browser import WAIT_SECONDS, QueueBrowser, queue_attributes, whole_messages
from ops.queues.selection import Selection
from ops.queues.view import change_data, iso_time, print_change
from shared.batches import MAX_ENTRIES

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

    from ops.json_outputs.messages import QueuedMessage
    from ops.queues.dead_letters import Letter

_FEWEST_RECEIVES = 3
"""If a queue allows fewer, one look could make SQS move a message that no writer had."""
_SHOWN_CHANGES = 5

_Limit = Annotated[
    int,
    typer.Option(
        "--limit", min=1, max=MAX_ENTRIES, metavar="NUMBER", help="Show at most this many messages."
    ),
]


@exits_with_status
def command(  # noqa: PLR0913 - one parameter per option
    *,
    limit: _Limit = MAX_ENTRIES,
    documents: Annotated[
        bool, typer.Option("--documents", help="Print all changes, with their documents.")
    ] = False,
    dead_letters: Annotated[
        bool, typer.Option("--dead-letters", help="Look at the dead-letter queue instead.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per line, with all changes and documents.")
    ] = False,
    stack: StackOption = "",
    queue_url: QueueOption = "",
    dead_letter_queue_url: DeadLetterOption = "",
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
) -> None:
    """Show the next messages of the queue, decoded, without taking them.

    SQS lets nobody look at a message without receiving it. This command hides
    nothing from the writers and moves nothing, but each look counts as a
    receive, and after maxReceiveCount of them (10 in deploy/pipeline.yaml) SQS
    moves a message to the dead-letter queue. Running writers take messages
    sooner than that. While none runs, do not look repeatedly: the command says
    when a message has been received too often for that.

    Exit status: 0, or 1 if a message must not be looked at again, 2 for wrong
    use or a queue that cannot be reached.
    """
    aws = Aws(endpoint_url, region)
    parts = find_pipeline(aws, stack, Pipeline(queue_url, dead_letter_queue_url))
    most = 0
    if dead_letters:
        found = _receive_dead_letters(aws.sqs, parts.dead_letter_queue, limit)
    else:
        most = _most_receives(aws.sqs, parts.queue)
        found = _receive(aws.sqs, parts.queue, limit)
    for number, letter in enumerate(found):
        if as_json:
            typer.echo(json.dumps(_data(letter)))
        else:
            if number:
                typer.echo("")
            print_message(letter, most, time.time(), documents=documents)
    if not (found or as_json):
        typer.echo("No message can be received right now.")
    raise typer.Exit(_outcome(found, most))


def _outcome(found: list[Letter], most: int) -> int:
    """Warns of messages that were received too often, and returns the exit status."""
    near = [letter for letter in found if most and letter.receives > most // 2]
    for letter in near:
        warn(
            f"The message {letter.id[:8]} was received {letter.receives} times: after {most}, SQS moves it "
            "to "
            "the dead-letter queue. Do not look again until a writer has taken it."
        )
    return FOUND if near else WELL


def _most_receives(sqs: SQSClient, url: str) -> int:
    """How many receives SQS allows; 0: any number, for the queue has no dead-letter queue."""
    attributes = queue_attributes(sqs, url, "the queue", "RedrivePolicy", "MaximumMessageSize")
    if "MaximumMessageSize" not in attributes:  # which every queue has
        raise CommandError("reading the attributes of the queue: SQS's answer cannot be read")
    if not attributes.get("RedrivePolicy"):
        return 0
    try:
        most = int(json.loads(attributes["RedrivePolicy"])["maxReceiveCount"])
        if most < 1:
            raise ValueError("no number of receives")
    except (ValueError, TypeError, LookupError, RecursionError, OverflowError) as error:
        raise CommandError("the queue's RedrivePolicy cannot be read") from error
    if most < _FEWEST_RECEIVES:
        raise CommandError(
            f"the queue's maxReceiveCount is {most}: SQS would move messages to the dead-letter queue "
            "just because they were looked at"
        )
    return most


def _receive(sqs: SQSClient, url: str, limit: int) -> list[Letter]:
    with asking("receiving from the queue"):
        answer = sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=limit,
            VisibilityTimeout=0,
            WaitTimeSeconds=WAIT_SECONDS,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
        )
    return [letter_of(each) for each in whole_messages(answer, "the queue")[0]]


def _receive_dead_letters(sqs: SQSClient, url: str, limit: int) -> list[Letter]:
    """From the dead-letter queue, where receives do not count. There each letter is shown once."""
    with QueueBrowser(sqs, url) as browser:
        return [letter for letters in browser.selected(Selection(), limit) for letter in letters]


def _data(letter: Letter) -> QueuedMessage:
    return {
        "id": letter.id,
        "group": letter.lane,
        "sent_at": iso_time(letter.sent_at),
        "receives": letter.receives,
        "table": letter.table or None,
        "unreadable": letter.unreadable or None,
        "changes": [change_data(each) for each in letter.changes],
        "body": None if letter.envelope else letter.text,
    }


def print_message(letter: Letter, most: int, now: float, *, documents: bool) -> None:
    """Prints one message: its first changes, or all of them with their `documents`.

    `most` is how many receives SQS allows (0: any number), `now` is in seconds since the epoch.
    """
    output = Output()
    of = f" of {most}" if most else ""
    changes = count(len(letter.changes), "change") if letter.envelope else "not readable"
    sent = age(now - letter.sent_at / 1000)
    output.line(
        f"{letter.id[:8]}  {letter.table or '?'}  {changes}, sent {sent} ago, received {letter.receives}{of} "
        f"times, group {letter.lane}"
    )
    if letter.envelope is None:
        output.line(f"    {letter.unreadable}", indent="    ")
    shown = letter.changes if documents else letter.changes[:_SHOWN_CHANGES]
    for entry in shown:
        print_change(output, entry, documents=documents)
    if len(letter.changes) > len(shown):
        output.line(f"... and {len(letter.changes) - len(shown)} more; --documents prints all")
