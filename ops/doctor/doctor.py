"""`replicator doctor`: whether everything is there that a pipeline needs, and what to do where it is not."""

from __future__ import annotations

import asyncio
import json

import typer

from ops.aws import Aws
from ops.console.exit_status import FOUND, UNEXPECTED, UNKNOWN, WELL, exits_with_status
from ops.console.terminal import Output
from ops.doctor.findings import Report, Section, State, unknown
from ops.doctor.identity import are_usable, check_identity
from ops.doctor.looking import has_mistake, look, not_seen
from ops.doctor.mapping import MappingFile, judge_recorded, judge_tables
from ops.doctor.mongodb import Seen, check_mongodb
from ops.doctor.parts import check_function, check_queues, find_parts, how_to_name
from ops.doctor.tables import Tables, check_tables
from ops.doctor.view import print_report
from ops.options import (
    DeadLetterOption,
    EndpointOption,
    FunctionOption,
    JsonOption,
    MongodbDatabaseOption,
    MongodbUriOption,
    QueueOption,
    RegionOption,
    ReplicationFileOption,
    StackOption,
)
from ops.pipeline import Pipeline

_OUTCOMES = {State.WELL: WELL, State.NOT_WELL: FOUND, State.UNKNOWN: UNKNOWN}


@exits_with_status
def command(  # noqa: PLR0913 - one parameter per option
    *,
    as_json: JsonOption = False,
    stack: StackOption = "",
    queue_url: QueueOption = "",
    dead_letter_queue_url: DeadLetterOption = "",
    function: FunctionOption = "",
    mongodb_uri: MongodbUriOption = "",
    mongodb_database: MongodbDatabaseOption = "",
    replication_file: ReplicationFileOption = "",
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
) -> None:
    """Check everything that a pipeline needs, and say what to fix.

    Credentials, clocks, the stack, the Lambda, its event source mappings, the
    streams, both queues, MongoDB and the rights of its user, and the mapping.
    Nothing is changed; in MongoDB a trial is written and removed.

    Exit status: 0 if all is well, 1 if something is not, 3 if something is
    not known and nothing is wrong, 2 for wrong use.
    """
    named = Pipeline(queue_url, dead_letter_queue_url, function)
    file = MappingFile(replication_file, mongodb_database)
    sections, parts, tables = _of_aws(Aws(endpoint_url, region), stack, named)
    seen = _of_mongodb(file, tables, mongodb_uri, mongodb_database, parts.queue_url)
    recorded = judge_recorded(file, tables, seen.recorded, seen.unknown, mongodb_database)
    of_mapping = [*file.findings, *judge_tables(file, tables), *recorded]
    sections += [Section("MongoDB", seen.findings), Section("Mapping", of_mapping)]
    report = Report(sections)
    if as_json:
        typer.echo(json.dumps(report.data()))
    else:
        print_report(Output(), report)
    raise typer.Exit(_outcome(report))


def _outcome(report: Report) -> int:
    if any(has_mistake(section.findings) for section in report.sections):
        return UNEXPECTED
    return _OUTCOMES[report.state]


def _of_aws(aws: Aws, stack: str, named: Pipeline) -> tuple[list[Section], Pipeline, Tables]:
    identity = look(
        "aws-credentials",
        "Cannot tell whose AWS credentials these are",
        "sts:GetCallerIdentity",
        lambda: check_identity(aws),
    )
    sections = [Section("AWS", identity)]
    if not are_usable(identity):
        text = "Stack, Lambda, streams and queues were not checked: AWS needs working credentials."
        sections.append(Section("Pipeline", [unknown("pipeline", text, "See above.")]))
        return sections, named, Tables(None, {})
    parts, of_stack = find_parts(aws, stack, named)
    of_function = check_function(aws, parts, stack)
    is_there = all(each.check != "function" or each.state is not State.NOT_WELL for each in of_function)
    name_it = how_to_name(stack, "--function")
    tables, of_tables = check_tables(aws, parts.function if is_there else "", name_it)
    sections += [
        Section("Pipeline", [*of_stack, *of_function]),
        Section("Tables", of_tables),
        Section("Queues", check_queues(aws, parts, stack)),
    ]
    return sections, parts, tables


def _of_mongodb(file: MappingFile, tables: Tables, uri: str, database: str, queue_url: str) -> Seen:
    places = file.places(tables)
    try:
        return asyncio.run(check_mongodb(uri, file.databases(database), places, queue_url))
    except Exception as error:  # noqa: BLE001 - it hides no other check
        return Seen([not_seen("mongodb", "MongoDB", "", error)])
