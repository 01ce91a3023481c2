"""The options that several commands have, and how typer sees a class of options. Decides nothing.

The environment variables are those of the writer, so that its environment serves the commands, too.
"""

from __future__ import annotations

import functools
import inspect
from dataclasses import MISSING, dataclass, field, fields
from typing import Annotated, Any, get_type_hints

import typer

_server = functools.partial(typer.Option, show_default=False, rich_help_panel="Servers and mapping")
_part = functools.partial(typer.Option, show_default=False, rich_help_panel="Which pipeline")

StackOption = Annotated[
    str,
    _part(
        "--stack",
        metavar="NAME",
        envvar="REPLICATOR_STACK",
        help="The CloudFormation stack of deploy/pipeline.yaml; its outputs name the rest.",
    ),
]
QueueOption = Annotated[
    str,
    _part("--queue-url", metavar="URL", envvar="QUEUE_URL", help="The queue, if no stack is given."),
]
DeadLetterOption = Annotated[
    str,
    _part(
        "--dead-letter-queue-url",
        metavar="URL",
        envvar="DEAD_LETTER_QUEUE_URL",
        help="Its dead-letter queue, if no stack is given.",
    ),
]
FunctionOption = Annotated[
    str,
    _part(
        "--function",
        metavar="NAME",
        envvar="REPLICATOR_FUNCTION",
        help="The Lambda function, if no stack is given.",
    ),
]
RegionOption = Annotated[
    str | None,
    _server(
        "--region",
        metavar="NAME",
        envvar=["AWS_REGION", "AWS_DEFAULT_REGION"],
        help="The AWS region; by default the AWS profile's.",
    ),
]
EndpointOption = Annotated[
    str | None,
    # Not its variable: the SDK reads it, and those of single services (AWS_ENDPOINT_URL_SQS) before it.
    _server(
        "--endpoint-url", metavar="URL", help="The URL of AWS, for emulators; by default AWS_ENDPOINT_URL."
    ),
]
MongodbUriOption = Annotated[
    str,
    _server(
        "--mongodb-uri",
        metavar="URI",
        envvar="MONGODB_URI",
        help="Connection string of the target. As an option, it is visible to other users of this machine.",
    ),
]
MongodbDatabaseOption = Annotated[
    str,
    _server("--mongodb-database", metavar="NAME", envvar="MONGODB_DATABASE", help="The target database."),
]


def _named_file(path: str) -> str:
    if path == "-":  # each table reads the file, and questions are answered on standard input
        raise typer.BadParameter("it cannot be standard input: name the file that the writers read")
    return path


ReplicationFileOption = Annotated[
    str,
    _server(
        "--replication-file",
        metavar="FILE",
        callback=_named_file,
        envvar="REPLICATION_FILE",
        help="The writer's replication.yaml; its hooks are imported, also from the current directory.",
    ),
]
NoMappingOption = Annotated[
    bool,
    _server(
        "--no-mapping",
        help="Use no mapping: copy items unchanged, whatever mapping the writers use.",
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON object at the end, and nothing else.")
]
JsonLinesOption = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]
Rcu = Annotated[
    float,
    typer.Option(
        min=0,
        metavar="UNITS",
        help="Read capacity units per second for all segments together; 0: no limit.",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableOptions:
    """What every command of a migration takes. A command adds fields of its own in a subclass."""

    table: Annotated[
        str, typer.Argument(metavar="TABLE", show_default=False, help="The name of the DynamoDB table.")
    ]
    as_json: JsonOption = False
    mongodb_uri: MongodbUriOption = field(default="", repr=False)  # it may hold a password
    mongodb_database: MongodbDatabaseOption = ""
    replication_file: ReplicationFileOption = ""
    no_mapping: NoMappingOption = False
    endpoint_url: EndpointOption = None
    region: RegionOption = None


TablesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="TABLE",
        show_default=False,
        help="Names of DynamoDB tables, and patterns in quotes, such as 'orders-*', which match tables that "
        "the pipeline replicates; without names: all of them.",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class TablesOptions(TableOptions):
    """What a command takes that works on several tables, one after the other; `table` is the one at work."""

    stack: StackOption = ""
    function: FunctionOption = ""

    @property
    def for_one_table(self) -> str:
        """Which of the options that are given make sense for one table only; empty: none."""
        return ""


def signature_of(options: type[Any]) -> inspect.Signature:
    """A signature with a parameter for each field of a dataclass, as typer reads commands.

    The fields of a subclass come before those of its base: help shows first what is special to the command.
    """
    hints = get_type_hints(options, include_extras=True)
    defaults = {each.name: each.default for each in fields(options)}
    names = [name for part in options.__mro__ for name in inspect.get_annotations(part) if name in defaults]
    return inspect.Signature(
        [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if defaults[name] is MISSING else defaults[name],
                annotation=hints[name],
            )
            for name in names
        ]
    )
