"""`replicator init`: a first `replication.yaml`, made of what DynamoDB says of the tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ops.aws import Aws
from ops.console.exit_status import UNKNOWN, CommandError, exits_with_status, warn
from ops.init.mapping_text import commands_for_mongosh, mapping_text
from ops.init.tables import read_tables
from ops.options import EndpointOption, MongodbDatabaseOption, RegionOption
from shared.file_errors import words_of_file_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ops.init.tables import TableDescription

_Tables = Annotated[
    list[str],
    typer.Argument(
        metavar="TABLE",
        show_default=False,
        help="Names of DynamoDB tables, or 'orders-*' for all whose names begin with orders-.",
    ),
]
_Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="FILE", help="Write this file; without it, or -, to standard output."
    ),
]
_Force = Annotated[bool, typer.Option("--force", help="Write the file even if it exists.")]


@exits_with_status
def command(  # noqa: PLR0913 - one parameter per option
    tables: _Tables,
    *,
    output: _Output = None,
    force: _Force = False,
    mongodb_database: MongodbDatabaseOption = "",
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
) -> None:
    """Write a first replication.yaml for tables that exist.

    It has the key of each table. Comments have its stream, what its time to
    live suggests, and the createIndex commands for mongosh that its key and
    its indexes suggest. With --output, these are printed, too.

    Exit status: 0 if the mapping is written, 3 if something about a table is
    not known (a comment says what), 2 if nothing could be written.
    """
    found = read_tables(Aws(endpoint_url, region), tables)
    text = mapping_text(found, mongodb_database)
    if output is None or str(output) == "-":
        typer.echo(text, nl=False)
    else:
        _write(output, text, force=force)
        for line in commands_for_mongosh(found, mongodb_database):
            typer.echo(line)
        warn(f"{output} is written. Check it with: replicator check-config {output}")
    raise typer.Exit(_outcome(found))


def _outcome(tables: Sequence[TableDescription]) -> int:
    unknown = [table for table in tables if table.time_to_live.unknown]
    for table in unknown:
        warn(f"replicator: the time to live of {table.name} is unknown: {table.time_to_live.unknown}")
    return UNKNOWN if unknown else 0


def _write(path: Path, text: str, *, force: bool) -> None:
    if path.is_dir():
        raise CommandError(f"{path} is a directory: name a file with --output")
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise CommandError(f"{path} exists: give --force to overwrite it, or another --output") from error
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {words_of_file_error(error)}") from error
