"""`replicator smoke-test`: puts, changes and deletes items of its own, and waits for each in MongoDB.

Law: it writes to a table that is for nothing else, and to nothing beside it. Whatever happens, its items are
deleted at the end, or it is said that they are not.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from ops.aws import Aws
from ops.console.exit_status import (
    CommandError,
    ending,
    exits_with_status,
    warn,
)
from ops.console.terminal import Output, count
from ops.doctor.findings import Finding, Section, State, unknown, well
from ops.doctor.parts import how_to_name
from ops.doctor.tables import check_tables
from ops.options import (
    DeadLetterOption,
    EndpointOption,
    FunctionOption,
    JsonOption,
    MongodbDatabaseOption,
    MongodbUriOption,
    QueueOption,
    RegionOption,
    StackOption,
)
from ops.pipeline import Pipeline, find_pipeline
from ops.queues.queue_browser import letters_in
from ops.smoke_test.diagnosis import CHECK, Places, late
from ops.smoke_test.items import Run, Step, differing_fields
from ops.smoke_test.report import SmokeReport, hosts_in
from ops.smoke_test.surroundings import (
    check_cloudwatch,
    check_dead_letters,
    check_queue,
    find_letter,
    messages,
)
from ops.smoke_test.table import SmokeTable
from shared.errors import TransientError
from writer.names import database_problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ops.smoke_test.target import Target

_LOOK_SECONDS = 0.25
_MARGIN_SECONDS = 600
"""So long after the last wait a run's items are taken for left over."""

clock = time.monotonic


@exits_with_status
def command(  # noqa: PLR0913 - one parameter per option
    table: Annotated[
        str,
        typer.Argument(metavar="TABLE", help="A table used for nothing else; its key is the string id."),
    ] = "replicator-smoke-test",
    *,
    timeout: Annotated[
        float,
        typer.Option(
            min=1, max=86400, metavar="SECONDS", help="How long to wait for each of the three steps."
        ),
    ] = 120.0,
    as_json: JsonOption = False,
    stack: StackOption = "",
    queue_url: QueueOption = "",
    dead_letter_queue_url: DeadLetterOption = "",
    function: FunctionOption = "",
    mongodb_uri: MongodbUriOption = "",
    mongodb_database: MongodbDatabaseOption = "",
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
) -> None:
    """Send test changes through a deployed pipeline, and report.

    It puts, changes and deletes three items in a table that is for nothing
    else, waits for each step in MongoDB, looks at queues, alarms and
    dashboard, and deletes its items. The report has no account ids,
    addresses or secrets.

    Exit status: 0 if all is well, 1 if something is not, 3 if something is
    not known and nothing is wrong, 2 if it could not begin or go on.
    """
    if not (mongodb_uri and mongodb_database):
        needed = "--mongodb-uri (MONGODB_URI) and --mongodb-database (MONGODB_DATABASE)"
        raise typer.BadParameter(f"no target is given: give {needed}")
    if problem := database_problem(mongodb_database):
        raise typer.BadParameter(f"{mongodb_database!r} {problem}", param_hint="--mongodb-database")
    with ending():
        aws = Aws(endpoint_url, region)
        pipeline = find_pipeline(aws, stack, Pipeline(queue_url, dead_letter_queue_url, function))
        test = SmokeTest(aws, SmokeTable(aws, table), pipeline, stack, timeout)
        asyncio.run(test.run(mongodb_uri, mongodb_database))
        report = SmokeReport.of(
            test.sections, hosts_in(mongodb_uri), str(aws.sqs.meta.region_name), test.started, test.seconds
        )
        if as_json:
            typer.echo(json.dumps(report.data()))
        else:
            report.print(Output())
    raise typer.Exit(report.exit_status)


@dataclass
class SmokeTest:
    """One run of the test.

    Attributes:
        timeout: how long to wait for each step, seconds.
        sections: what was found.
        seconds: how long each step took to arrive; None: it did not.
    """

    aws: Aws
    table: SmokeTable
    pipeline: Pipeline
    stack: str
    timeout: float
    sections: list[Section] = field(default_factory=list)
    seconds: dict[Step, float | None] = field(default_factory=lambda: dict.fromkeys(Step))
    started: datetime = field(default_factory=lambda: datetime.now(UTC))

    async def run(self, uri: str, database: str) -> None:
        """Runs it.

        Raises:
            FatalError, TransientError: it could not begin, or not go on; its items are deleted all the same.
        """
        from ops.smoke_test.target import open_target  # noqa: PLC0415 - help does not wait for the driver

        queue, dead = self.pipeline.queue, self.pipeline.dead_letter_queue
        self.table.check()
        left, in_use = self.table.left_over(time.time())
        before = letters_in(self.aws.sqs, dead)
        async with open_target(uri, database, self.table.name, queue) as target:
            of_table = self._table()
            arrivals: list[Finding] = []
            if any(each.state is State.NOT_WELL for each in of_table):
                text = "No changes were made, because of the problem with the table"
                arrivals.append(unknown(CHECK, text, "See above."))
                left = []
            else:
                self.table.delete(left)
                arrivals += await self._changes(target)
                of_table = self._table()  # only now the mapping can tell of an invocation
            arrived = all(each.state is State.WELL for each in arrivals)
            emptied = check_queue(self.aws, queue, self.timeout if arrived else 0)
            self.sections += [
                Section("Table", [*of_table, *_earlier(left, in_use)]),
                Section("Changes", arrivals),
                Section("Queues", [*emptied, *check_dead_letters(self.aws, dead, before)]),
                Section("CloudWatch", check_cloudwatch(self.aws, self.stack)),
            ]

    def _table(self) -> list[Finding]:
        name_it = how_to_name(self.stack, "--function")
        return check_tables(self.aws, self.pipeline.function, name_it, only=self.table.name)[1]

    async def _changes(self, target: Target) -> list[Finding]:
        until = time.time() + len(Step) * self.timeout + _MARGIN_SECONDS
        run = Run(uuid.uuid4().hex, round(until))
        findings: list[Finding] = []
        is_clean = False
        try:
            for step in Step:
                began = clock()
                self.table.do(run, step)
                is_clean = step is Step.DELETE
                findings.append(await self._arrival(target, run, step, began))
                if findings[-1].state is not State.WELL:
                    break
        except BaseException:
            if not is_clean:
                self._clean_up(run, interrupted=True)
            raise
        if not is_clean:
            findings.append(self._clean_up(run, interrupted=False))
        return findings

    def _clean_up(self, run: Run, *, interrupted: bool) -> Finding:
        try:
            self.table.delete(run.keys)
            found = well(
                "clean-up", "The test's items are deleted; their documents follow when the deletions arrive."
            )
        except CommandError as error:
            after = datetime.fromtimestamp(run.until, UTC)
            text = f"Cannot tell whether the test's items were deleted: {error}"
            advice = f"Run it again after {after:%H:%M} UTC to delete them, or delete them by hand."
            found = unknown("clean-up", text, advice)
        if interrupted:
            warn(f"{found.text} {found.advice}".rstrip())
        return found

    async def _arrival(self, target: Target, run: Run, step: Step, began: float) -> Finding:
        """Waits until MongoDB has what a step makes of the items."""
        why = ""
        differs: list[str] | None = None
        while True:
            try:
                has_arrived, differs = await _look(target, run, step)
                why = ""
            except TransientError as error:
                has_arrived, why = False, str(error)
            taken = clock() - began
            if has_arrived:
                self.seconds[step] = round(taken, 3)
                items = count(len(run.keys), "item")
                text = f"The {step} of {items} arrived in MongoDB after {taken:.1f} seconds."
                return well(CHECK, text)
            if taken > self.timeout:
                return late(step, self.timeout, await self._places(target, run, differs, why))
            await asyncio.sleep(_LOOK_SECONDS)

    async def _places(self, target: Target, run: Run, differs: list[str] | None, why: str) -> Places:
        letter, letters_unknown = None, ""
        visible, in_flight, queue_unknown = None, None, ""
        try:
            visible, in_flight = messages(self.aws, self.pipeline.queue)
        except CommandError as error:
            queue_unknown = str(error)
        try:
            letter, all_seen = find_letter(self.aws, self.pipeline.dead_letter_queue, run.id)
            letters_unknown = "" if all_seen else "not all dead letters could be read"
        except CommandError as error:
            letters_unknown = str(error)
        return Places(
            mongodb=why,
            differs=differs,
            letter=letter,
            letters_unknown=letters_unknown,
            visible=visible,
            in_flight=in_flight,
            queue_unknown=queue_unknown,
            writers=await target.writers(),
            target=target.name,
        )


async def _look(target: Target, run: Run, step: Step) -> tuple[bool, list[str] | None]:
    """Whether a step has arrived; and in which fields a document is another one than the step makes."""
    found = await target.documents(run.keys)
    wanted = {key: run.document(key, step) for key in run.keys}
    if all(found.get(key) == document for key, document in wanted.items()):
        return True, None
    for key, document in wanted.items():
        there = found.get(key)
        if there is None or document is None or (step is Step.CHANGE and there.get("step") != step):
            continue
        if fields := differing_fields(there, document):
            return False, fields
    return False, None


def _earlier(left: Sequence[str], in_use: int) -> Iterator[Finding]:
    if left:
        yield well("left-over", f"{count(len(left), 'item')} left by an earlier run, now deleted.")
    if in_use:
        text = f"{count(in_use, 'item')} may belong to another run that is still going: left alone."
        yield well("left-over", text)
