"""`replicator follow`: copies tables and follows their streams, in this process, until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from follow.view import View
from ops.console.exit_status import ending
from ops.console.progress import Board
from ops.migration.retry import Retry
from ops.migration.settings import read_mapping, settings_of
from ops.migration.tables import is_pattern
from ops.options import TableOptions, signature_of
from shared import logs
from writer.mapping.hooks import load_hooks
from writer.mapping.rules import Rules

if TYPE_CHECKING:
    import inspect
    from collections.abc import Sequence

    from follow.table import TableFollower

_TablesArgument = Annotated[
    list[str], typer.Argument(metavar="TABLE", show_default=False, help="Names of DynamoDB tables.")
]


_LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(TableOptions):
    """What it takes."""

    once: Annotated[
        bool,
        typer.Option(
            "--once", help="End when the tables are copied and the changes until then are replicated."
        ),
    ] = False
    on_gap: Annotated[
        Literal["fail", "resync"],
        typer.Option(
            "--on-gap",
            metavar="fail|resync",
            help="When changes of a stream are lost: end, or compare and repair the table as resync does, "
            "without asking, and continue.",
        ),
    ] = "fail"
    status_port: Annotated[
        int | None,
        typer.Option(
            metavar="PORT",
            min=0,
            max=65535,
            show_default=False,
            envvar="STATUS_PORT",
            help="Serve a status page, /healthz, /readyz and /metrics there; 0: on any free port.",
        ),
    ] = None
    status_host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            envvar="STATUS_HOST",
            help="Address that --status-port listens on; 0.0.0.0: all addresses of this machine.",
        ),
    ] = "127.0.0.1"


def command(**arguments: Any) -> None:
    """Copy tables and follow their streams, in this process.

    It needs no Lambda, no queue and no writer: it copies the existing items, and replicates each
    change after that. If it is killed, run the same command again: it continues from there. It
    ends with Ctrl-C, or with --once. The tables need a stream with new images.

    Exit status: 0 after the stop, 2 for wrong use, if a server refuses us, or if a stream has a gap
    (unless --on-gap resync).
    """
    names = list(dict.fromkeys(arguments.pop("tables")))
    if pattern := next(filter(is_pattern, names), None):
        raise typer.BadParameter(f"{pattern!r} is a pattern: name each table", param_hint="TABLE")
    shared = Options(**arguments, table="")
    with ending("Run the same command to continue."):
        logs.configure("WARNING", sys.stderr)
        logging.getLogger("writer.telemetry.health.outages").disabled = True  # `Retry` says it in a sentence
        with contextlib.redirect_stdout(sys.stderr), Board() as board:  # hooks print beside the result
            asyncio.run(_run(shared, names, board))


async def _run(options: Options, names: list[str], board: Board) -> None:
    from follow.process import run  # noqa: PLC0415 - help does not wait for the drivers
    from follow.work import Work  # noqa: PLC0415 - likewise
    from ops.migration.store import Store  # noqa: PLC0415 - likewise

    tables = [settings_of(replace(options, table=name)) for name in names]
    tables = [replace(each, aws=tables[0].aws) for each in tables]  # one session of the SDK for all
    replication = read_mapping(options.replication_file)
    rules = Rules(replication, load_hooks(replication), options.mongodb_database)
    target = tables[0]
    with contextlib.closing(Store.connect(target.uri, target.database, 1)) as store:
        await Retry(board.say).until_done(store.reach)  # who never answers has another address
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    status = None if options.status_port is None else (options.status_host, options.status_port)
    work = Work(tables, rules, options.once, status, resync=options.on_gap == "resync")
    await run(work, board.say, stop, lambda each: _watch(board, each))


async def _watch(board: Board, tables: Sequence[TableFollower]) -> None:
    view = View(tables)
    while True:
        board.show(*view.look(time.monotonic(), time.time()))
        await asyncio.sleep(_LOOK_SECONDS)


def _signature() -> inspect.Signature:
    signature = signature_of(Options)
    table = signature.parameters["table"].replace(name="tables", annotation=_TablesArgument)
    others = [each for name, each in signature.parameters.items() if name not in ("table", "as_json")]
    return signature.replace(parameters=[table, *others])


vars(command)["__signature__"] = _signature()  # typer reads it
