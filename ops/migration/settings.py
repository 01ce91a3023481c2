"""What all commands of a migration know and open: the table's rules, DynamoDB and MongoDB."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ops.aws import Aws
from ops.migration.mapping import (
    ComparedMapping,
    GivenMapping,
    compare,
    key_problem,
    owner_doubt,
    owner_problem,
    region_problem,
)
from ops.migration.retry import Retry
from ops.migration.source.pace import Pace
from ops.migration.source.table import Reader
from ops.migration.target import no_collection, no_database
from shared.errors import FatalError, PoisonError
from shared.file_errors import words_of_file_error
from writer.mapping.fingerprint import fingerprint_of
from writer.mapping.hooks import load_hooks
from writer.mapping.model import Replication
from writer.mapping.parser import parse_replication
from writer.mapping.rules import Rules
from writer.names import database_problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from ops.migration.retry import Watches
    from ops.migration.source.table import Source
    from ops.migration.store import Store
    from ops.options import TableOptions
    from writer.mapping.rules import Table

_POOL_SIZE = 8

_reached: set[str] = set()
"""The servers that have answered this process once: it waits for them, and gives up on others."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the options of a command say.

    Attributes:
        uri: a secret; never printed.
        database: of tables that name none.
        databases: the others.
        table: the rules of the table.
        aws: where AWS is.
        mapping: whose rules they are.
    """

    uri: str = field(repr=False)
    database: str
    databases: frozenset[str]
    table: Table
    aws: Aws
    mapping: GivenMapping

    @property
    def digest(self) -> str:
        """Changes when the rules do."""
        return self.mapping.fingerprint.hash

    @property
    def namespace(self) -> str:
        """Database and collection of the documents."""
        return self.mapping.namespace


@dataclass(frozen=True, slots=True)
class Session:
    """Both sides, opened.

    Attributes:
        table: the rules of the table.
        source: the table.
        mapping: the command's mapping beside that of the writers.
    """

    table: Table
    source: Source
    mapping: ComparedMapping
    reader: Reader
    store: Store
    retry: Retry


@contextlib.asynccontextmanager
async def open_session(  # noqa: PLR0913 - two servers, and what commands want of them
    settings: Settings,
    say: Callable[[str], None],
    rcu: float = 0,
    *,
    may_create: bool = False,
    else_create: str = "",
    follower: Watches | None = None,
) -> AsyncIterator[Session]:
    """Opens both sides, and compares the mapping with that of the writers before anything is read or written.

    Args:
        settings: where they are.
        say: prints one line of text, such as the mapping, or what we wait for.
        rcu: the limit in read capacity units per second; 0: none.
        may_create: the database need not exist.
        else_create: what makes it, the end of a sentence.
        follower: of a process that follows the table itself: is told how calls go. Another mapping than the
            one that an earlier follower has recorded is no mistake then.

    Raises:
        FatalError: MongoDB was never reached, or AWS refuses us; there is no such table or database, or the
            table's key is another one than the mapping says; the writers go by another mapping, are in
            another region, or fill the collection from another table.
    """
    from ops.migration.store import Store  # noqa: PLC0415 - help does not wait for the driver

    retry = Retry(say, follower and follower.mongodb)
    source_retry = Retry(say, follower and follower.dynamodb)
    with contextlib.closing(
        Store.connect(settings.uri, settings.database, _POOL_SIZE, settings.databases)
    ) as store:
        await retry.until_done(store.ping if settings.uri in _reached else store.reach)
        _reached.add(settings.uri)
        absent = await _absent_databases(settings, store, retry)
        if absent and not may_create:
            raise FatalError(f"{absent[0]}{else_create}")
        mapping = await _compared(settings, store, retry, is_follower=follower is not None)
        if follower is None:  # which makes it
            absent += await _absent_collection(settings, store, retry)
        for line in (*mapping.lines, *absent):
            say(line)
        async with settings.aws.open_client("dynamodb") as client:
            table = settings.table
            where = client.meta.endpoint_url
            reader = Reader(client, table.name, Pace(rcu), source_retry, was_reached=where in _reached)
            source = await reader.describe()
            _reached.add(where)
            if problem := key_problem(table.name, table.rule.key, tuple(source.key)):
                raise FatalError(problem)
            if problem := region_problem(table.name, source.region, mapping.regions):
                raise FatalError(problem)
            yield Session(table, source, mapping, reader, store, retry)


async def _absent_databases(settings: Settings, store: Store, retry: Retry) -> list[str]:
    """A sentence for each database that does not exist."""
    names = {settings.database: "MONGODB_DATABASE (--mongodb-database)"}
    names.setdefault(settings.table.database or settings.database, "database in the mapping")
    absent = [
        name
        for name in names
        if await retry.until_done(lambda name=name: store.collections(name)) == frozenset()  # type: ignore[misc]
    ]
    there = await retry.until_done(store.databases) if absent else frozenset()
    return [no_database(name, store.hosts, names[name], there) for name in absent]


async def _absent_collection(settings: Settings, store: Store, retry: Retry) -> list[str]:
    """A sentence, if the collection does not exist though its database does."""
    database, collection = settings.table.database or settings.database, settings.table.collection
    there = await retry.until_done(lambda: store.collections(database))
    return [no_collection(collection, database, there)] if there and collection not in there else []


async def _compared(settings: Settings, store: Store, retry: Retry, *, is_follower: bool) -> ComparedMapping:
    found = await retry.until_done(lambda: store.records.mappings(table=settings.table.name))
    if is_follower:  # it takes the place of those before it
        others = (each for each in found.records if not each.is_follower or each.hash == settings.digest)
        found = replace(found, records=tuple(others))
    mapping = compare(settings.mapping, found, settings.database)
    if is_follower and not found.records and not found.odd:  # nobody else replicates the table
        mapping = replace(mapping, lines=mapping.lines[:1])
    everybody = await retry.until_done(store.records.mappings)
    if problem := owner_problem(settings.mapping, everybody.records):
        raise FatalError(problem)
    if doubt := owner_doubt(settings.mapping, everybody):
        return replace(mapping, lines=(*mapping.lines, doubt))
    return mapping


def settings_of(options: TableOptions) -> Settings:
    """Reads and checks what the options name.

    Raises:
        typer.BadParameter: something is missing or wrong.
        FatalError: it is about this table: the mapping refuses it.
    """
    uri, database = options.mongodb_uri, options.mongodb_database
    needed = {"--mongodb-uri (MONGODB_URI)": uri, "--mongodb-database (MONGODB_DATABASE)": database}
    if absent := [option for option, value in needed.items() if not value]:
        raise typer.BadParameter(f"no target is given: give {' and '.join(absent)}")
    if problem := database_problem(database):
        raise typer.BadParameter(f"{database!r} {problem}", param_hint="--mongodb-database")
    if options.no_mapping and options.replication_file:
        raise typer.BadParameter(
            "--replication-file (or REPLICATION_FILE) names a mapping, too: leave one of them out",
            param_hint="--no-mapping",
        )
    try:
        replication = read_mapping(options.replication_file)
        sys.path.insert(0, str(Path.cwd()))
        with contextlib.redirect_stdout(sys.stderr):  # what hooks print is not the command's result
            rules = Rules(replication, load_hooks(replication), database)
        table = rules.table(options.table)
    except FatalError as error:
        raise typer.BadParameter(str(error), param_hint="--replication-file") from error
    except PoisonError as error:
        raise FatalError(f"the table {options.table!r}: {error.reason}") from error
    fingerprint = fingerprint_of(table, database)
    namespace = f"{table.database or database}.{table.collection}"
    return Settings(
        uri=uri,
        database=database,
        databases=replication.databases,
        table=table,
        aws=Aws(options.endpoint_url, options.region),
        mapping=GivenMapping(
            table.name, options.replication_file, options.no_mapping, fingerprint, namespace
        ),
    )


def read_mapping(path: str) -> Replication:
    """Reads a mapping; empty: none is named.

    Raises:
        typer.BadParameter: it cannot be read.
        FatalError: it is wrong.
    """
    if not path:
        return Replication()
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(
            f"{path} cannot be read: {words_of_file_error(error)}", param_hint="--replication-file"
        ) from error
    return parse_replication(text, path)
