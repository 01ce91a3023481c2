"""The settings that the commands of a migration share: the writer's environment names, options over them."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ops.console.exit_status import UNUSABLE
from ops.console.progress import console
from ops.migration.source.table import Aws
from ops.migration.store import Store
from shared.errors import FatalError, PoisonError, fatal_reasons
from writer.mapping.hooks import load_hooks
from writer.mapping.model import Replication
from writer.mapping.parser import parse_replication
from writer.mapping.rules import Rules
from writer.names import database_problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from typing import Any

    from writer.mapping.rules import Table

_SERVERS = "Servers and mapping"

TableName = Annotated[
    str, typer.Argument(metavar="TABLE", show_default=False, help="The name of the DynamoDB table.")
]
MongodbUri = Annotated[
    str,
    typer.Option(
        metavar="URI",
        envvar="MONGODB_URI",
        show_default=False,
        rich_help_panel=_SERVERS,
        help="Connection string of the target. As an option it can be seen by others on this machine.",
    ),
]
MongodbDatabase = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        envvar="MONGODB_DATABASE",
        show_default=False,
        rich_help_panel=_SERVERS,
        help="The target database.",
    ),
]
ReplicationFile = Annotated[
    str,
    typer.Option(
        metavar="FILE",
        envvar="REPLICATION_FILE",
        show_default=False,
        rich_help_panel=_SERVERS,
        help="The writer's replication.yaml; hooks are imported, also from the current directory.",
    ),
]
EndpointUrl = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        show_default=False,
        rich_help_panel=_SERVERS,
        help="Where AWS is, for emulators; else as AWS_ENDPOINT_URL says.",
    ),
]
Region = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        show_default=False,
        rich_help_panel=_SERVERS,
        help="The AWS region; else as the SDK finds it.",
    ),
]
Rcu = Annotated[
    float,
    typer.Option(
        min=0,
        metavar="UNITS",
        help="Read capacity units per second, over all segments; 0: as fast as it goes.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object at the end, and nothing else.")]

_POOL_SIZE = 8


@dataclass(frozen=True, slots=True)
class Ending:
    """How a command ends.

    Attributes:
        status: of the process.
        show: prints what it found.
    """

    status: int
    show: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """What all commands of a migration know.

    Attributes:
        uri: a secret; never printed.
        database: of tables that name none.
        databases: the others.
        table: the rules of the table.
        aws: where AWS is.
        digest: changes when the rules do.
    """

    uri: str = field(repr=False)
    database: str
    databases: frozenset[str]
    table: Table
    aws: Aws
    digest: str

    @property
    def place(self) -> str:
        """Where the documents are."""
        return f"{self.table.database or self.database}.{self.table.collection}"

    @contextlib.asynccontextmanager
    async def store(self) -> AsyncIterator[Store]:
        """Opens MongoDB."""
        made = Store.connect(self.uri, self.database, _POOL_SIZE, self.databases)
        try:
            yield made
        finally:
            made.close()


def settings_of(  # noqa: PLR0913, PLR0917 - one parameter per option
    name: str,
    uri: str,
    database: str,
    replication_file: str,
    endpoint_url: str | None,
    region: str | None,
) -> Settings:
    """Reads and checks all of it.

    Raises:
        typer.BadParameter: something is missing or wrong.
    """
    missing = {"--mongodb-uri (or MONGODB_URI)": uri, "--mongodb-database (or MONGODB_DATABASE)": database}
    if absent := [option for option, value in missing.items() if not value]:
        raise typer.BadParameter(f"missing: {', '.join(absent)}")
    if problem := database_problem(database):
        raise typer.BadParameter(f"{database!r} {problem}", param_hint="--mongodb-database")
    try:
        replication = _read(replication_file)
        sys.path.insert(0, str(Path.cwd()))
        with contextlib.redirect_stdout(sys.stderr):
            rules = Rules(replication, load_hooks(replication), database)
        table = rules.table(name)
    except FatalError as error:
        raise typer.BadParameter(str(error), param_hint="--replication-file") from error
    except PoisonError as error:
        raise typer.BadParameter(f"the table {name!r}: {error.reason}") from error
    return Settings(
        uri=uri,
        database=database,
        databases=replication.databases,
        table=table,
        aws=Aws(endpoint_url, region),
        digest=digest_of(table, database),
    )


def digest_of(table: Table, database: str) -> str:
    """Equal for the same rules."""
    content = [table.database or database, table.collection, table.rule.model_dump_json()]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _read(path: str) -> Replication:
    if not path:
        return Replication()
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(
            f"{path} cannot be read: {error}", param_hint="--replication-file"
        ) from error
    return parse_replication(text, path)


def run(main: Callable[[], Coroutine[Any, Any, Ending]], *, when_stopped: str) -> None:
    """Runs a command to its end, prints what it found, and ends the process with its status.

    What only a person can mend ends it with one sentence and status 2, Ctrl-C with 130.
    """
    ending = Ending(UNUSABLE)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what hooks print must not get between
            ending = asyncio.run(main())
    except KeyboardInterrupt:
        console(errors=True).print(f"Stopped. {when_stopped}")
        ending = Ending(130)
    except BaseExceptionGroup as group:
        reasons = fatal_reasons(group)
        if not reasons:
            raise
        _print_reasons(reasons)
    except FatalError as error:
        _print_reasons([str(error)])
    if ending.show is not None:
        ending.show()
    raise typer.Exit(ending.status)


def _print_reasons(reasons: list[str]) -> None:
    for reason in reasons:
        console(errors=True).print(f"replicator: {reason}", style="red")
