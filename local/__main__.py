"""`python -m local run`: the whole pipeline on this machine, shown at work. Exit statuses are made here only.

0: the example was verified (with --once), or it was and the run was then ended by Ctrl-C or SIGTERM.
1: something failed; the reason is the last thing printed.
128 + signal: ended by Ctrl-C (130) or SIGTERM (143) before the example was verified.
"""

import argparse
import contextlib
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from deploy.package import PackageError, build
from local import example, paths
from local.console import Screen
from local.deployment import Deployment, delete, deploy
from local.emulator import ACCESS_KEY, REGION
from local.errors import StackError
from local.mongod import without_password
from local.process import POLL_INTERVAL_S
from local.stack import Stack
from local.writer_process import WriterProcess

STACK_NAME: Final = "replicator"


class Interrupted(BaseException):
    """Ctrl-C or SIGTERM. No `except Exception` on the way may take it for an error."""

    def __init__(self, signal_number: int) -> None:
        super().__init__()
        self.signal_number = signal_number


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, and turn every outcome into words and an exit status."""
    parser = argparse.ArgumentParser(prog="python -m local", description="The replicator on this machine.")
    run_parser = parser.add_subparsers(required=True, metavar="command").add_parser(
        "run", help="start the stack, deploy the pipeline, replicate the example, go on replicating"
    )
    run_parser.add_argument("--once", action="store_true", help="end after the example has been verified")
    run_parser.add_argument("--keep", action="store_true", help="leave the folder with data and logs behind")
    run_parser.add_argument(
        "--stack",
        choices=["embedded"],
        help="start both servers here, even if AWS_ENDPOINT_URL, LOCALSTACK_HOST or MONGODB_URI is set",
    )
    options = parser.parse_args(arguments)
    screen = Screen()
    _listen_to_signals()
    try:
        run(screen, once=options.once, keep=options.keep, embedded=options.stack == "embedded")
    except StackError as error:
        screen.failure(str(error), error.log.name if error.log else "", error.log_tail)
        if not options.keep:
            screen.say("\nThe data and logs are removed; KEEP=1 keeps them.")
        return 1
    except PackageError as error:
        screen.failure(f"{error} `make run` installs what is missing.", "", "")
        return 1
    except Interrupted as interrupted:
        screen.say(f"Stopped by {signal.Signals(interrupted.signal_number).name}.")
        return 128 + interrupted.signal_number
    screen.say("Stopped.")
    return 0


def run(screen: Screen, *, once: bool, keep: bool, embedded: bool) -> None:
    """Do everything, from nothing to a running pipeline, and undo it.

    Args:
        screen: Where to tell about it.
        once: Return after the example; otherwise go on until a signal.
        keep: Leave the folder with data and logs behind.
        embedded: Start both servers here, whatever the environment names.

    Raises:
        StackError: Something does not work.
        PackageError: The Lambda cannot be packaged.
        Interrupted: A signal came before the example was verified.
    """
    began = time.monotonic()
    screen.title("Replicating DynamoDB to MongoDB, all on this machine")
    screen.say()
    with contextlib.ExitStack() as resources:
        stack = Stack(keep=keep, embedded=embedded)
        with screen.step("Start MongoDB and the AWS emulator"):
            resources.enter_context(stack)
        screen.fact("MongoDB", f"{without_password(stack.mongodb_uri)} ({stack.mongodb_version})")
        screen.fact("AWS emulator", stack.endpoint_url)
        screen.fact("Data and logs", stack.folder)
        deployment = _deploy(stack, screen)
        if not stack.emulator:  # it lives on, so what we made on it must not
            resources.callback(delete, stack, deployment)
        writer = WriterProcess(stack, deployment, log=stack.folder / "writer.log")
        with screen.step("Start the writer"):
            resources.enter_context(writer)
            writer.wait()
        screen.fact("Status", f"{writer.status_url}/ (ready: {writer.status_url}/readyz)")
        screen.fact("Log", writer.log)

        def check() -> None:
            stack.check()
            writer.child.check()

        screen.title(f"The example: table {deployment.table_name}, mapping {paths.REPLICATION_FILE.name}")
        screen.say()
        example.perform(stack, deployment, screen, check=check)
        screen.say(f"\nAll as expected, {time.monotonic() - began:.1f} s after the start.")
        if not once:
            _show_commands(stack, deployment, screen)
            with contextlib.suppress(Interrupted):
                _watch(check)
        _ignore_signals()
        screen.say("\nStopping: the writer first, when it has finished what it holds …")


def _deploy(stack: Stack, screen: Screen) -> Deployment:
    package = stack.folder / "producer.zip"
    with screen.step("Package the Lambda"):
        build(package)
    screen.fact("Package", f"{package} ({package.stat().st_size / 1e6:.1f} MB)")
    parameters = {"CreateExampleTable": "true", "ExampleTableName": example.TABLE}
    with screen.step(f"Deploy {paths.TEMPLATE.relative_to(paths.ROOT)} as the stack {STACK_NAME}"):
        deployment = deploy(stack, STACK_NAME, package=package, parameters=parameters)
    screen.fact("Queue", deployment.queue_url)
    screen.fact("Dead letters", deployment.dead_letter_queue_url)
    screen.fact("Lambda", deployment.function_name)
    return deployment


def _show_commands(stack: Stack, deployment: Deployment, screen: Screen) -> None:
    """What to type in a second terminal."""
    table, uri = deployment.table_name, without_password(stack.mongodb_uri)
    item = '{"id": {"N": "4"}, "Name": {"S": "Ann"}, "created_at": {"N": "1588166549"}}'
    python = Path(sys.executable)
    if python.is_relative_to(paths.ROOT):
        python = python.relative_to(paths.ROOT)
    screen.title("Replicating until Ctrl-C. Change the table, from a second terminal in this folder:")
    screen.say()
    screen.command(f"export AWS_ACCESS_KEY_ID={ACCESS_KEY} AWS_SECRET_ACCESS_KEY={ACCESS_KEY}")
    screen.command(f"export AWS_DEFAULT_REGION={REGION} AWS_ENDPOINT_URL={stack.endpoint_url}")
    screen.command(f"aws dynamodb put-item --table-name {table} --item '{item}'")
    screen.command(f"""aws dynamodb delete-item --table-name {table} --key '{{"id": {{"N": "4"}}}}'""")
    screen.title("The same without the aws command:")
    screen.say()
    screen.command(
        f'{python} -c \'import boto3; boto3.client("dynamodb").put_item(TableName="{table}", Item={item})\''
    )
    screen.title("And look at the collection:")
    screen.say()
    screen.command(f"mongosh '{uri}' --eval 'db.getSiblingDB(\"{example.DATABASE}\").{table}.find()'")
    screen.command(
        f"{python} -c 'import pymongo; "
        f'print(*pymongo.MongoClient("{uri}").{example.DATABASE}.{table}.find(), sep="\\n")\''
    )


def _watch(check: Callable[[], None]) -> NoReturn:
    while True:
        check()
        time.sleep(POLL_INTERVAL_S)


def _listen_to_signals() -> None:
    """Make Ctrl-C and SIGTERM one exception, once: what is undone then is not to be interrupted again."""

    def interrupt(signal_number: int, _: FrameType | None) -> NoReturn:
        _ignore_signals()
        raise Interrupted(signal_number)

    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)


def _ignore_signals() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(main())
