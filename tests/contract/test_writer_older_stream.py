"""A writer process that meets changes of another region's stream, whose label is older."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pymongo

from local.pipeline.deployment import Deployment
from local.pipeline.writer_process import WriterProcess
from local.polling import wait_until
from ops.status.writer_answers import ask_writers
from tests.support.builders import body_of, delete, put

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from local.stack import Stack
    from shared.change import Change
    from tests.conftest import Queues

FIRST, OTHER = "2021-04-30T17:47:21.395", "2020-04-30T17:47:21.395"


def older_streams(writer: WriterProcess) -> Mapping[str, int]:
    (asked,) = ask_writers([writer.status_url])
    assert asked.figures is not None
    return asked.figures.older_streams


def test_it_says_so(stack: Stack, queues: Queues, database: str, tmp_path: Path) -> None:
    """In metrics, log and figures, and `replicator status` hears of it; repeats are none of these."""
    deployment = Deployment("", queues.url, queues.dead_letter_url, function_name="")
    sqs, log = stack.client("sqs"), tmp_path / "log"

    def send(*changes: Change) -> None:
        sqs.send_message(
            QueueUrl=queues.url,
            MessageBody=body_of(*changes),
            MessageGroupId="lane",
            MessageDeduplicationId=uuid.uuid4().hex,
        )

    def logged(message: str) -> list[dict[str, Any]]:
        lines = [
            json.loads(line) for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")
        ]
        return [line for line in lines if line["message"] == message]

    settings = {"MONGODB_DATABASE": database, "LOG_LEVEL": "DEBUG"}
    with (
        WriterProcess(stack, deployment, log=log, replication_file=None, settings=settings) as writer,
        pymongo.MongoClient[dict[str, Any]](stack.mongodb_uri) as client,
    ):
        writer.wait()
        send(*(put(5, key, stream=FIRST, n=1) for key in range(3)), delete(5, 3, stream=FIRST))
        wait_until(lambda: len(logged("batch applied")) == 1, what="the first region's changes")
        send(put(5, 0, stream=FIRST, n=1), put(4, 1, stream=FIRST, n=0))
        wait_until(lambda: len(logged("batch applied")) == 2, what="what comes again")
        assert older_streams(writer) == {}
        send(*(put(9, key, stream=OTHER, n=2) for key in range(5)))
        message = "changes of an older stream were discarded"
        (told,) = wait_until(lambda: logged(message), what="a line about the other region")
        assert (told["table"], told["changes"], told["level"]) == ("mytable", 4, "WARNING")
        assert older_streams(writer) == {"mytable": 4}
        found = {each["_id"]: each["n"] for each in client[database]["mytable"].find()}
        assert found == {0: 1, 1: 1, 2: 1, 4: 2}
