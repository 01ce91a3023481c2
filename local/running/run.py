"""`make run`: the whole pipeline on this machine, started step by step, and stopped in reverse order."""

import contextlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NoReturn

from deploy.package import build
from local import paths
from local.example import scenario
from local.pipeline.deployment import Deployment, delete, deploy
from local.pipeline.writer_process import WriterProcess
from local.polling import POLL_INTERVAL_S
from local.processes.interrupts import Interrupted, ignore_signals, raise_if_requested, shield
from local.screen.console import Screen
from local.servers.emulator import ACCESS_KEY, REGION
from local.servers.mongod import without_password
from local.stack import Stack, StackKind

STACK_NAME: Final = "replicator"


def run(screen: Screen, *, once: bool, keep: bool, kind: StackKind | None) -> None:
    """Start the pipeline, perform the example, and stop everything.

    Args:
        screen: Where to show it.
        once: Return after the example; otherwise replicate until a signal comes.
        keep: Do not remove the folder with data and logs.
        kind: What to run on; see `Stack`.

    Raises:
        StackError: Something does not work.
        PackageError: The Lambda cannot be packaged.
        Interrupted: A signal came before the example was verified.
    """
    screen.title("Replicating DynamoDB to MongoDB, all on this machine")
    screen.say()
    with contextlib.ExitStack() as resources:
        try:
            _run(screen, resources, Stack(kind, keep=keep), once=once)
        finally:
            ignore_signals()
        screen.say("\nStopping: the writer first, when it has finished what it holds …")


def _run(screen: Screen, resources: contextlib.ExitStack, stack: Stack, *, once: bool) -> None:
    began = time.monotonic()
    resources.push(stack)  # before it starts, so that it never runs without being stopped
    with screen.step("Start MongoDB and the AWS emulator"):
        stack.__enter__()
    screen.fact("MongoDB", f"{without_password(stack.mongodb_uri)} ({stack.mongodb_version})")
    screen.fact("AWS emulator", stack.endpoint_url)
    screen.fact("Data and logs", stack.folder)
    deployment = _deploy(screen, resources, stack)
    with screen.step("Start the writer"):
        with shield():
            log = stack.folder / "writer.log"
            writer = resources.enter_context(WriterProcess(stack, deployment, log=log))
        writer.wait()
    screen.fact("Status", f"{writer.status_url}/")
    screen.fact("Log", writer.log)

    def check() -> None:
        raise_if_requested()
        stack.check()
        writer.child.check()

    screen.title(f"The example: table {deployment.example_table}, mapping {paths.REPLICATION_FILE.name}")
    screen.say()
    scenario.perform(stack, deployment, screen, check=check)
    screen.say(f"\nAll as expected, {time.monotonic() - began:.1f} s after the start.")
    if not once:
        _show_commands(stack, deployment, screen)
        with contextlib.suppress(Interrupted):
            _watch(check)


def _deploy(screen: Screen, resources: contextlib.ExitStack, stack: Stack) -> Deployment:
    package = stack.folder / "producer.zip"
    with screen.step("Package the Lambda"):
        build(package)
    screen.fact("Package", f"{package} ({package.stat().st_size / 1e6:.1f} MB)")
    with screen.step(f"Deploy {paths.TEMPLATE.relative_to(paths.ROOT)} as the stack {STACK_NAME}"):
        deployment = deploy(stack, STACK_NAME, package=package, table=scenario.TABLE)
    if not stack.emulator:  # it runs on afterwards, without what was made here
        resources.callback(delete, stack, deployment)
    screen.fact("Queue", deployment.queue_url)
    screen.fact("Dead letters", deployment.dead_letter_queue_url)
    screen.fact("Lambda", deployment.function_name)
    return deployment


def _show_commands(stack: Stack, deployment: Deployment, screen: Screen) -> None:
    table, uri = deployment.example_table, without_password(stack.mongodb_uri)
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
    screen.command(f"mongosh '{uri}' --eval 'db.getSiblingDB(\"{scenario.DATABASE}\").{table}.find()'")
    screen.command(
        f"{python} -c 'import pymongo; "
        f'print(*pymongo.MongoClient("{uri}").{scenario.DATABASE}.{table}.find(), sep="\\n")\''
    )
    screen.title("And ask how the pipeline is, and whether both sides are equal:")
    screen.say()
    screen.command(f"export REPLICATOR_STACK={STACK_NAME} REPLICATION_FILE={paths.REPLICATION_FILE.name}")
    screen.command(f"export MONGODB_URI='{uri}' MONGODB_DATABASE={scenario.DATABASE}")
    screen.command(f"{python.parent / 'replicator'} status")
    screen.command(f"{python.parent / 'replicator'} verify {table}")


def _watch(check: Callable[[], None]) -> NoReturn:
    while True:
        check()
        time.sleep(POLL_INTERVAL_S)
