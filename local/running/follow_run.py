"""`make run STACK=follow`: the example with `replicator follow`, one process without Lambda and queue."""

import pymongo

from local import paths
from local.errors import StackError
from local.example import scenario
from local.pipeline.follow_process import FollowProcess
from local.pipeline.tables import create_table
from local.running.pipeline_run import PipelineRun
from local.running.supervised_writer import SupervisedWriter
from local.screen.documents import Document


class FollowRun(PipelineRun):
    """The table, and the process that follows it."""

    stack_name = ""
    listing = "replicator dlq list --mongodb"

    def start(self) -> None:
        """Create the table, and follow it."""
        with self.screen.step(f"Create the table {scenario.TABLE}, with a stream"):
            create_table(self.stack, scenario.TABLE, id="N")
        if not self.stack.emulator:  # it runs on afterwards, without what was made here
            self.resources.callback(self.stack.client("dynamodb").delete_table, TableName=scenario.TABLE)
        log = self.stack.folder / "follow.log"
        port = self.port.number

        def make() -> FollowProcess:
            return FollowProcess(self.stack, scenario.TABLE, log=log, database=scenario.DATABASE, port=port)

        self.writer = SupervisedWriter(
            make,
            mapping=paths.REPLICATION_FILE,
            log=log,
            port=self.port,
            say=self.screen.say,
            name="replicator follow",
            after_a_kill="It continues from its last position.",
        )
        with self.screen.step(f"Start replicator follow {scenario.TABLE}"):
            self.resources.enter_context(self.writer)
            self.writer.start()
        self.screen.fact("Status", f"{self.writer.status_url}/")
        self.screen.fact("Process", self.writer.pid)
        self.screen.fact("Log", log)

    def dead_letters(self, client: pymongo.MongoClient[Document]) -> int:
        """How many there are."""
        return client[scenario.DATABASE]["_replicator_dead_letters"].count_documents({})

    def check_example(self) -> None:
        """Look whether anything is left of the example but its documents."""
        with self.screen.step("Check that there are no dead letters"):
            if parked := self.arrivals.dead_letters():
                raise StackError(f"{parked} changes of the example became dead letters.")
