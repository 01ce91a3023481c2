"""`make run`: all of it on this machine, started step by step, and stopped in reverse order."""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from local.processes.interrupts import ignore_signals
from local.processes.ports import given_port
from local.running.follow_run import FollowRun
from local.running.own_mapping import OwnMapping
from local.running.pipeline_run import PipelineRun
from local.screen.console import Screen
from local.stack import Stack, StackKind

STATUS_PORT: Final = 8080
"""The port of the status page, unless it is taken or STATUS_PORT names another."""


@dataclass(frozen=True)
class Options:
    """What a person asks for.

    Attributes:
        once: Return after the items have arrived; otherwise replicate until a signal comes.
        keep: Do not remove the folder with data and logs.
        kind: What to run on; see `Stack`.
        follow: `replicator follow` instead of the pipeline.
        mapping: A mapping of the person's own; None: the example of the README.
        data: A file or folder with items for its tables; None: they are made up.
    """

    once: bool = False
    keep: bool = False
    kind: StackKind | None = None
    follow: bool = False
    mapping: Path | None = None
    data: Path | None = None


def run(screen: Screen, options: Options) -> None:
    """Start the pipeline, replicate the example or a person's own tables, and stop everything.

    Args:
        screen: Where to show it.
        options: What to replicate, and for how long.

    Raises:
        StackError: Something does not work.
        PackageError: The Lambda cannot be packaged.
        Interrupted: A signal came before the items had arrived.
    """
    screen.title("Replicating DynamoDB to MongoDB, all on this machine")
    screen.say()
    own = OwnMapping(options.mapping, options.data, screen) if options.mapping else None
    with contextlib.ExitStack() as resources:
        try:
            port = given_port("STATUS_PORT", os.environ.get("STATUS_PORT", ""), STATUS_PORT)
            resources.enter_context(port)
            kind = FollowRun if options.follow else PipelineRun
            kind(screen, resources, Stack(options.kind, keep=options.keep), own, port).run(once=options.once)
        finally:
            ignore_signals()
        first = "replicator follow" if options.follow else "the writer"
        screen.say(f"\nStopping: {first} first, after what it has in flight …")
