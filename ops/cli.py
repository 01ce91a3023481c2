"""`replicator`: the command line. It knows each command by name, and loads its module only when it runs.

Law: neither the help of `replicator` nor a shell that completes a name imports what the commands need: SDKs,
drivers and models take ten times as long as all else here.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from ops.console.exit_status import ending

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Entry:
    """A command that is known by name.

    Attributes:
        module: it has a function `command`, or an `app` with several commands.
        summary: the first sentence of the command's help.
    """

    module: str
    summary: str


COMMANDS = {
    "The mapping": {
        "init": Entry("ops.init.init", "Write a first replication.yaml for tables that exist."),
        "check-config": Entry(
            "ops.config.check_config", "Check a replication.yaml, and show what it makes of items."
        ),
        "config-schema": Entry("ops.config.config_schema", "Print the JSON Schema of replication.yaml."),
    },
    "The pipeline": {
        "doctor": Entry("ops.doctor.doctor", "Check everything that a pipeline needs, and say what to fix."),
        "smoke-test": Entry(
            "ops.smoke_test.smoke_test", "Send test changes through a deployed pipeline, and report."
        ),
        "status": Entry("ops.status.status", "Show the state of the pipeline, on one screen."),
        "logs": Entry(
            "ops.logs.logs", "Show the logs of the Lambda and the writers together, in time order."
        ),
        "peek": Entry(
            "ops.queues.peek", "Show the next messages of the queue, decoded, without taking them."
        ),
        "dlq": Entry("ops.queues.dlq", "List, show, redrive and drop dead letters."),
    },
    "Without Lambda and queue": {
        "follow": Entry("follow.command", "Copy tables and follow their streams, in this process."),
    },
    "A migration": {
        "backfill": Entry(
            "ops.migration.backfill.backfill",
            "Copy existing items of tables while live replication runs.",
        ),
        "verify": Entry(
            "ops.migration.verify.verify",
            "Compare tables with their collections while replication runs.",
        ),
        "repair": Entry(
            "ops.migration.repair.repair",
            "Repair what verify found: write what is missing, replace what differs, delete what is extra.",
        ),
        "resync": Entry(
            "ops.migration.resync.resync",
            "Make tables and their collections equal after a gap in a stream: verify, repair, verify again.",
        ),
        "plan-cutover": Entry(
            "ops.migration.cutover.plan_cutover", "Check whether applications can switch to MongoDB."
        ),
    },
}
"""By the heading under which help shows them."""


class Command(TyperCommand):
    """A command whose help shows a flag by its name alone, and an argument without Python's type."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _without_types(super().get_params(ctx))


class Group(TyperGroup):
    """Several commands; likewise."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _without_types(super().get_params(ctx))


class LazyGroup(Group):
    """Lists the commands by what is known of them, and loads the one that is meant."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        entries = {name: entry for commands in COMMANDS.values() for name, entry in commands.items()}
        return name, load(name, entries[name]) if name in entries else command, rest


def load(name: str, entry: Entry) -> Any:
    """Imports a command's module, and makes the command."""
    module = importlib.import_module(entry.module)
    app: typer.Typer = getattr(module, "app", None) or _app_of(name, module.command)
    app.info.cls = Group
    for each in app.registered_commands:
        each.cls = Command
        each.help = _reflowed(inspect.getdoc(each.callback) or "")
    return typer.main.get_command(app)


def _app_of(name: str, command: Callable[..., None]) -> typer.Typer:
    app = typer.Typer(add_completion=False)
    app.command(name)(command)
    return app


def _without_types(params: list[Any]) -> list[Any]:
    for param in params:
        if param.param_type_name == "argument":
            param.display_type_rich = lambda **_: None
        if getattr(param, "is_flag", False):
            param.metavar = ""
    return params


def _reflowed(text: str) -> str:
    """The paragraphs of a docstring, whose lines help breaks anew."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer's form of a callback
    if wanted:
        from shared.release import release  # noqa: PLC0415

        typer.echo(f"replicator {release()}")
        raise typer.Exit


def _root(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version, and exit."),
    ] = False,
) -> None:
    """Tools for the replication from DynamoDB to MongoDB."""


def _stub() -> None:
    """Stands for a command in lists."""


app = typer.Typer(
    name="replicator",
    cls=LazyGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # they show the values of variables, which can be data
    context_settings={"help_option_names": ["--help", "-h"]},
)
app.callback()(_root)
for _panel, _entries in COMMANDS.items():
    for _name, _entry in _entries.items():
        app.command(_name, help=_entry.summary, rich_help_panel=_panel)(_stub)


def main() -> None:
    """Runs the command that the arguments name."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal that cannot show a character
    with ending():  # of a module that cannot be loaded, too
        app(prog_name="replicator")  # `python -m ops`, too: the shell completes that name
