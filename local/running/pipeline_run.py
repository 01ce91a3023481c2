"""A run of the whole pipeline: deploy it, replicate the first items, and watch."""

import contextlib
import shutil
import sys
import time
from pathlib import Path
from typing import Any, Final

import pymongo

from deploy.package import build
from local import paths
from local.errors import StackError
from local.example import scenario
from local.pipeline.deployment import STREAMS_PARAMETER, Deployment, delete, deploy, message_count
from local.pipeline.writer_process import WriterProcess
from local.polling import POLL_INTERVAL_S
from local.processes.interrupts import Interrupted, raise_if_requested
from local.processes.ports import PortLease
from local.running.arrivals import Arrivals, Place
from local.running.next_steps import DATABASE, Running, next_steps
from local.running.own_mapping import OwnMapping
from local.running.supervised_writer import SupervisedWriter
from local.screen.console import Screen
from local.screen.documents import Document
from local.servers.emulator import ACCESS_KEY, REGION
from local.servers.mongod import without_password
from local.stack import Stack

STACK_NAME: Final = "replicator"


class PipelineRun:
    """What one run is made of."""

    stack_name = STACK_NAME
    listing = "replicator dlq list"

    def __init__(
        self,
        screen: Screen,
        resources: contextlib.ExitStack,
        stack: Stack,
        own: OwnMapping | None,
        port: PortLease,
    ) -> None:
        """Start nothing yet.

        Args:
            screen: Where to show it.
            resources: What is stopped at the end.
            stack: The servers, which are started here.
            own: A mapping of the person's own; None: the example.
            port: Of the status page.
        """
        self.screen, self.resources, self.stack, self.own, self.port = screen, resources, stack, own, port

    def run(self, *, once: bool) -> None:
        """Start everything, replicate the first items, and watch until a signal comes."""
        screen, stack = self.screen, self.stack
        began = time.monotonic()
        self.resources.push(stack)  # before it starts, so that it never runs without being stopped
        with screen.step("Start MongoDB and the AWS emulator"):
            stack.__enter__()
        screen.fact("MongoDB", f"{without_password(stack.mongodb_uri)} ({stack.mongodb_version})")
        screen.fact("AWS emulator", stack.endpoint_url)
        screen.fact("Data and logs", stack.folder)
        self.start()
        client = self.resources.enter_context(pymongo.MongoClient[Document](stack.mongodb_uri, tz_aware=True))
        places = self.own.places() if self.own else [Place(scenario.TABLE, DATABASE, scenario.TABLE)]
        self.arrivals = Arrivals(
            client, places, screen, dead_letters=lambda: self.dead_letters(client), listing=self.listing
        )
        self._replicate_first_items()
        done = "All items have arrived" if self.own else "All as expected"
        screen.say(f"\n{done}, {time.monotonic() - began:.1f} s after the start.")
        if not once:
            self._show_next_steps()
            with contextlib.suppress(Interrupted):
                self._watch()

    def start(self) -> None:
        """Start what replicates."""
        self.deployment = self._deploy()
        self.writer = self._start_writer()

    def dead_letters(self, _: pymongo.MongoClient[Document]) -> int:
        """How many there are."""
        return message_count(self.stack, self.deployment.dead_letter_queue_url)

    def check(self) -> None:
        """What is done again and again while something is waited for."""
        raise_if_requested()
        self.stack.check()
        self.writer.check()

    def _deploy(self) -> Deployment:
        screen, stack = self.screen, self.stack
        package = stack.folder / "producer.zip"
        with screen.step("Package the Lambda"):
            build(package)
        screen.fact("Package", f"{package} ({package.stat().st_size / 1e6:.1f} MB)")
        parameters = {}
        if self.own:
            with screen.step(f"Create the tables of {self.own.file}"):
                streams = self.own.create(stack, list(self.own.tables.values()))
            self.own.describe()
            parameters = {STREAMS_PARAMETER: ",".join(streams)}
        table = "" if self.own else scenario.TABLE
        with screen.step(f"Deploy {paths.TEMPLATE.relative_to(paths.ROOT)} as the stack {STACK_NAME}"):
            deployment = deploy(stack, STACK_NAME, package=package, table=table, parameters=parameters)
        if not stack.emulator:  # it runs on afterwards, without what was made here
            self.resources.callback(self._delete, deployment)
        screen.fact("Queue", deployment.queue_url)
        screen.fact("Dead letters", deployment.dead_letter_queue_url)
        screen.fact("Lambda", deployment.function_name)
        return deployment

    def _delete(self, deployment: Deployment) -> None:
        delete(self.stack, deployment)
        for name in self.own.made if self.own else ():
            self.stack.client("dynamodb").delete_table(TableName=name)

    def _start_writer(self) -> SupervisedWriter:
        mapping, hooks = paths.REPLICATION_FILE, paths.ROOT
        if self.own:  # a copy: a writer that is started again must not read an edit that is not valid
            mapping, hooks = self.stack.folder / "replication.yaml", self.own.file.absolute().parent
            mapping.write_text(self.own.text, encoding="utf-8")
        log = self.stack.folder / "writer.log"

        def make() -> WriterProcess:
            return WriterProcess(
                self.stack,
                self.deployment,
                log=log,
                replication_file=mapping,
                settings={"STATUS_PORT": str(self.port.number)},
                directory=hooks,
            )

        writer = SupervisedWriter(make, mapping=mapping, log=log, port=self.port, say=self.screen.say)
        with self.screen.step("Start the writer"):
            self.resources.enter_context(writer)
            writer.start()
        self.screen.fact("Status", f"{writer.status_url}/")
        self.screen.fact("Process", writer.pid)
        self.screen.fact("Log", writer.log)
        return writer

    def _replicate_first_items(self) -> None:
        screen = self.screen
        if not self.own:
            screen.title(f"The example: table {scenario.TABLE}, mapping {paths.REPLICATION_FILE.name}")
            screen.say()
            scenario.perform(self.stack, screen, check=self.check)
            self.check_example()
            self.arrivals.skip()
            return
        screen.title(f"The tables of {self.own.file}")
        screen.say()
        tables = list(self.own.tables.values())
        all_arrived = self.own.load(self.stack, tables, self.arrivals, self.check)
        self.arrivals.show(self.own.tables)
        if not all_arrived:
            raise StackError("Not all items have become documents.")

    def check_example(self) -> None:
        """Look whether anything is left of the example but its documents."""
        with self.screen.step("Check that both queues are empty"):
            scenario.await_empty_queues(self.stack, self.deployment, self.check)

    def _show_next_steps(self) -> None:
        for section in next_steps(self._running()):
            self.screen.title(section.title)
            for number, command in enumerate(section.commands):
                if number == 0:
                    self.screen.say()
                self.screen.command(command)
        edits = f", and an edit of {self.own.file} takes effect" if self.own else ""
        self.screen.title(f"Replicating until Ctrl-C. What arrives is shown here{edits}.")

    def _running(self) -> Running:
        place = self.arrivals.places[0]
        key = {"id": "N"}
        if self.own:
            key = self.own.tables[place.table].key
        programs = Path(sys.executable).parent
        if programs.is_relative_to(paths.ROOT):
            programs = programs.relative_to(paths.ROOT)
        uri = self.stack.mongodb_uri
        item: dict[str, Any] = {name: {kind: "9" if kind != "B" else "OQ=="} for name, kind in key.items()}
        return Running(
            endpoint_url=self.stack.endpoint_url,
            region=REGION,
            access_key=ACCESS_KEY,
            status_url=self.writer.status_url,
            mongodb_uri=uri if without_password(uri) == uri else None,
            stack_name=self.stack_name,
            replication_file=str(self.own.file) if self.own else paths.REPLICATION_FILE.name,
            programs=str(programs),
            table=place.table,
            place=(place.database, place.collection),
            item=item,
            has_aws=bool(shutil.which("aws")),
        )

    def _watch(self) -> None:
        while True:
            self.check()
            if self.own:
                self.deployment = self.own.follow_edits(
                    self.stack, self.deployment, self.writer, self.arrivals, self.check
                )
            self.arrivals.check()
            time.sleep(POLL_INTERVAL_S)
