"""`python -m local run`: the command line of the embedded stack. It alone decides the exit statuses.

0: the example was verified, or all items of a mapping of one's own have arrived; without --once, Ctrl-C or
   SIGTERM then ended the run.
1: something failed; the reason is the last thing printed.
128 + signal: Ctrl-C (130) or SIGTERM (143) came before the example was verified.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from local.errors import StackError
from local.processes.interrupts import Interrupted, listen_to_signals


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, and turn every outcome into a message and an exit status."""
    parser = argparse.ArgumentParser(prog="python -m local", description="The replicator on this machine.")
    run_parser = parser.add_subparsers(required=True, metavar="command").add_parser(
        "run", help="start the stack, deploy the pipeline, replicate the example, and keep replicating"
    )
    run_parser.add_argument("--once", action="store_true", help="end after the example has been verified")
    run_parser.add_argument("--keep", action="store_true", help="keep the folder with data and logs")
    run_parser.add_argument(
        "--stack",
        choices=["embedded", "localstack", "follow"],
        help="embedded: start both servers here, even if AWS_ENDPOINT_URL, LOCALSTACK_HOST or MONGODB_URI is "
        "set; localstack: the LocalStack that AWS_ENDPOINT_URL or LOCALSTACK_HOST names, or one started "
        "here; follow: the example with `replicator follow`, one process without Lambda and queue",
    )
    run_parser.add_argument(
        "--mapping",
        type=Path,
        metavar="FILE",
        help="a replication.yaml of your own, instead of the example; an edit of it restarts the writer",
    )
    run_parser.add_argument(
        "--data",
        type=Path,
        metavar="PATH",
        help="items for its tables: a file, or a folder of files named after their tables, of "
        "DynamoDB's JSON or of plain JSON, one item a line; default: a few sample items",
    )
    given = parser.parse_args(arguments)
    if given.data and not given.mapping:
        parser.error("--data needs --mapping (DATA= needs MAPPING=)")
    if given.stack == "follow" and given.mapping:
        parser.error("--stack follow runs the example only (STACK=follow without MAPPING=)")
    try:
        listen_to_signals()
        return _run(given)
    except Interrupted as interrupted:
        sys.stdout.write(f"Stopped by {signal.Signals(interrupted.signal_number).name}.\n")
        return 128 + interrupted.signal_number


def _run(given: argparse.Namespace) -> int:
    # These imports take half a second. At the top, Ctrl-C during them would print a traceback.
    from deploy.errors import PackageError  # noqa: PLC0415
    from local.running.run import Options, run  # noqa: PLC0415
    from local.screen.console import Screen  # noqa: PLC0415

    screen = Screen()
    follow = given.stack == "follow"
    options = Options(
        once=given.once,
        keep=given.keep,
        kind=None if follow else given.stack,
        follow=follow,
        mapping=given.mapping,
        data=given.data,
    )
    try:
        run(screen, options)
    except StackError as error:
        screen.failure(str(error), error.log.name if error.log else "", error.log_tail)
        if not given.keep:
            screen.say("\nThe data and logs are removed; KEEP=1 keeps them.")
        return 1
    except PackageError as error:
        screen.failure(f"{error} `make run` installs what is missing.", "", "")
        return 1
    screen.say("Stopped.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
