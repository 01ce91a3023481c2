"""`replicator follow`: copies tables and follows their streams, in this process, until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from follow.process import Work, run
from ops.console.exit_status import ending, warn
from ops.migration.settings import read_mapping, settings_of
from ops.options import TableOptions, signature_of
from shared import logs
from writer.mapping.hooks import load_hooks
from writer.mapping.rules import Rules

if TYPE_CHECKING:
    import inspect

_TablesArgument = Annotated[
    list[str], typer.Argument(metavar="TABLE", show_default=False, help="Names of DynamoDB tables.")
]


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
            help="If changes of a stream are lost: end, or compare and repair the table as resync does, "
            "without asking, and go on.",
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
            help="Whom --status-port answers: 0.0.0.0 is everybody on the network.",
        ),
    ] = "127.0.0.1"


def command(**arguments: Any) -> None:
    """Copy tables and follow their streams in this process, without Lambda and queue.

    Killed at any moment, the same command goes on where it was. It ends with Ctrl-C, or with --once.

    Exit status: 0 after the stop, 2 for wrong use, if a server refuses us, or if a stream has a gap
    (unless --on-gap resync).
    """
    names = list(dict.fromkeys(arguments.pop("tables")))
    shared = Options(**arguments, table="")
    with ending():
        logs.configure("WARNING", sys.stderr)
        with contextlib.redirect_stdout(sys.stderr):  # what hooks print is not the command's result
            asyncio.run(_run(shared, names))


async def _run(options: Options, names: list[str]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    tables = [settings_of(replace(options, table=name)) for name in names]
    tables = [replace(each, aws=tables[0].aws) for each in tables]  # one session of the SDK for all
    replication = read_mapping(options.replication_file)
    rules = Rules(replication, load_hooks(replication), options.mongodb_database)
    status = None if options.status_port is None else (options.status_host, options.status_port)
    work = Work(tables, rules, options.once, status, resync=options.on_gap == "resync")
    await run(work, warn, stop)


def _signature() -> inspect.Signature:
    signature = signature_of(Options)
    table = signature.parameters["table"].replace(name="tables", annotation=_TablesArgument)
    others = [each for name, each in signature.parameters.items() if name not in ("table", "as_json")]
    return signature.replace(parameters=[table, *others])


vars(command)["__signature__"] = _signature()  # typer reads it


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command)
    app()
