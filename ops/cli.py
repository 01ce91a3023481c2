"""`replicator`: the command line. Each command is a module of this package, and a line below."""

from __future__ import annotations

import sys

import typer

from ops.config import check_config, config_schema
from ops.logs import logs
from ops.migration.backfill import backfill
from ops.migration.cutover import plan_cutover
from ops.migration.repair import repair
from ops.migration.verify import verify
from ops.queues import dlq, peek
from ops.status import status

app = typer.Typer(
    name="replicator",
    help="Tools for the replication from DynamoDB to MongoDB.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # they show the values of variables, which can be data
)
app.command("check-config")(check_config.command)
app.command("config-schema")(config_schema.command)
app.command("status")(status.command)
app.add_typer(dlq.app)
app.command("peek")(peek.command)
app.command("logs")(logs.command)
app.command("backfill")(backfill.command)
app.command("verify")(verify.command)
app.command("repair")(repair.command)
app.command("plan-cutover")(plan_cutover.command)


def main() -> None:
    """Runs the command that the arguments name."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal that cannot show a character
    app(prog_name="replicator")  # `python -m ops`, too: the shell completes that name
