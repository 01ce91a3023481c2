"""What all commands of a migration know and open: the table's rules, DynamoDB and MongoDB."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ops.aws import Aws
from ops.migration.retry import Retry
from ops.migration.source.pace import Pace
from ops.migration.source.table import Reader
from ops.migration.store import Store
from shared.errors import FatalError, PoisonError
from writer.mapping.hooks import load_hooks
from writer.mapping.model import Replication
from writer.mapping.parser import parse_replication
from writer.mapping.rules import Rules
from writer.names import database_problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from ops.migration.source.table import Source
    from ops.options import TableOptions
    from writer.mapping.rules import Table

_POOL_SIZE = 8


@dataclass(frozen=True, slots=True)
class Settings:
    """What the options of a command say.

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
    def namespace(self) -> str:
        """Database and collection of the documents."""
        return f"{self.table.database or self.database}.{self.table.collection}"


@dataclass(frozen=True, slots=True)
class Session:
    """Both sides, opened.

    Attributes:
        table: the rules of the table.
        source: the table.
    """

    table: Table
    source: Source
    reader: Reader
    store: Store
    retry: Retry


@contextlib.asynccontextmanager
async def open_session(
    settings: Settings, say: Callable[[str], None], rcu: float = 0
) -> AsyncIterator[Session]:
    """Opens both sides.

    Args:
        settings: where they are.
        say: prints one line of text, such as what we wait for.
        rcu: the limit in read capacity units per second; 0: none.

    Raises:
        FatalError: there is no such table, or AWS refuses us.
    """
    retry = Retry(say)
    with contextlib.closing(
        Store.connect(settings.uri, settings.database, _POOL_SIZE, settings.databases)
    ) as store:
        async with settings.aws.open_client("dynamodb") as client:
            reader = Reader(client, settings.table.name, Pace(rcu), retry)
            yield Session(settings.table, await reader.describe(), reader, store, retry)


def settings_of(options: TableOptions) -> Settings:
    """Reads and checks what the options name.

    Raises:
        typer.BadParameter: something is missing or wrong.
    """
    uri, database = options.mongodb_uri, options.mongodb_database
    missing = {"--mongodb-uri (or MONGODB_URI)": uri, "--mongodb-database (or MONGODB_DATABASE)": database}
    if absent := [option for option, value in missing.items() if not value]:
        raise typer.BadParameter(f"missing: {', '.join(absent)}")
    if problem := database_problem(database):
        raise typer.BadParameter(f"{database!r} {problem}", param_hint="--mongodb-database")
    try:
        replication = _read(options.replication_file)
        sys.path.insert(0, str(Path.cwd()))
        with contextlib.redirect_stdout(sys.stderr):  # what hooks print is not the command's result
            rules = Rules(replication, load_hooks(replication), database)
        table = rules.table(options.table)
    except FatalError as error:
        raise typer.BadParameter(str(error), param_hint="--replication-file") from error
    except PoisonError as error:
        raise typer.BadParameter(f"the table {options.table!r}: {error.reason}") from error
    return Settings(
        uri=uri,
        database=database,
        databases=replication.databases,
        table=table,
        aws=Aws(options.endpoint_url, options.region),
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
