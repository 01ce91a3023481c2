"""The whole run, as a person starts it: real servers, the packaged Lambda, the writer as a process."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import boto3
import pymongo
import pytest
from botocore.config import Config

from local.paths import ROOT
from local.polling import wait_until
from local.processes.ports import free_port
from tests.support.local_run import started
from tests.support.processes import processes_in


def put(endpoint: str, table: str, item: Mapping[str, Any]) -> None:
    """Put an item as somebody else does."""
    dynamodb = boto3.client(
        "dynamodb",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(proxies={}),
    )
    dynamodb.put_item(TableName=table, Item=item)


def test_once_verifies_the_example() -> None:
    """The example, end to end: exit status 0, plain text in a pipe, nothing left behind."""
    with started("--once") as run:
        folder = Path(run.read_until(r"Data and logs +(\S+)")[1])
        assert run.end() == 0, run.output
    after_update = run.output.partition("Update item 2")[2]
    assert re.search(r'1 +"John" +null +ISODate\("2020-04-29T13:22:08Z"\) +1', after_update)
    assert re.search(r'2 +"Clare" +37 +2', after_update)
    assert '"Tom"' not in run.output.partition("Delete item 3")[2]
    assert "\x1b" not in run.output
    assert not processes_in(folder)
    assert not folder.exists()


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_it_goes_on_replicating_until_a_signal(signal_number: signal.Signals) -> None:
    """After the example, an item that is put by hand arrives; then everything stops in order."""
    with started() as run:
        uri = run.read_until(r"^ +MongoDB +(\S+)")[1]
        endpoint = run.read_until(r"^ +AWS emulator +(\S+)")[1]
        folder = Path(run.read_until(r"Data and logs +(\S+)")[1])
        run.read_until("Replicating until Ctrl-C")
        put(endpoint, "mytable", {"id": {"N": "4"}, "Name": {"S": "Ann"}})
        with pymongo.MongoClient[dict[str, object]](uri) as client:
            arrived = wait_until(lambda: client.replicator.mytable.find_one({"_id": 4}), what="the item")
        assert arrived["Name"] == "Ann"
        run.read_until("mytable → replicator.mytable: 3 documents")
        (verify,) = re.findall(r"^ +(\S+ verify mytable)$", run.output, re.MULTILINE)
        exports = re.findall(r"^ +(export .*)$", run.output, re.MULTILINE)
        script = "\n".join([*exports, verify])
        asked = subprocess.run(["sh", "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603, S607
        assert (asked.returncode, asked.stdout.splitlines()[-1]) == (0, "No difference."), asked.stderr
        run.process.send_signal(signal_number)
        assert run.end() == 0, run.output
    assert not processes_in(folder)
    assert not folder.exists()


def test_ctrl_c_before_the_example_is_verified_is_no_success() -> None:
    """Exit status 130, as a shell expects, and everything that was started is stopped."""
    with started() as run:
        folder = Path(run.read_until(r"Data and logs +(\S+)")[1])
        run.process.send_signal(signal.SIGINT)
        assert run.end() == 128 + signal.SIGINT, run.output
    assert not processes_in(folder)
    assert not folder.exists()


def test_a_killed_run_leaves_no_process() -> None:
    """A run killed by kill -9 leaves no MongoDB, emulator, Lambda function or writer behind."""
    with started() as run:
        folder = Path(run.read_until(r"Data and logs +(\S+)")[1])
        run.read_until("Replicating until Ctrl-C")
        assert processes_in(folder)
        run.process.kill()
        wait_until(lambda: not processes_in(folder), what="the processes to end")
    shutil.rmtree(folder)


def test_a_failure_tells_its_reason() -> None:
    """Exit status 1, and the reason is the last thing on the screen."""
    with started("--once", MONGODB_URI="mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200") as run:
        assert run.end() == 1
    assert run.output.count("MONGODB_URI names 127.0.0.1:1, where no MongoDB can be reached.") == 1
    assert "Traceback" not in run.output


def test_embedded_ignores_the_named_servers() -> None:
    """`--stack embedded` verifies the example although the environment names servers that do not exist."""
    with started("--once", "--stack", "embedded", AWS_ENDPOINT_URL="http://127.0.0.1:1") as run:
        assert run.end() == 0, run.output


def test_a_killed_writer_is_started_again(tmp_path: Path) -> None:
    """On its port and with its mapping; an item that was put meanwhile arrives."""
    mapping = tmp_path / "my.yaml"
    mapping.write_text("tables: {people: {key: [id], fields: {name: {rename: Name}}}}")
    with free_port(0) as lease:
        port = str(lease.number)
    with started("--mapping", str(mapping), STATUS_PORT=port) as run:
        endpoint = run.read_until(r"^ +AWS emulator +(\S+)")[1]
        assert run.read_until(r"^ +Status +(\S+)")[1] == f"http://127.0.0.1:{port}/"
        process = run.read_until(r"^ +Process +(\d+)")[1]
        run.read_until("people → replicator.people: 3 documents")
        run.read_until("Replicating until Ctrl-C")
        os.kill(int(process), signal.SIGKILL)
        put(endpoint, "people", {"id": {"S": "late"}, "name": {"S": "Ann"}})
        run.read_until("The writer was killed by SIGKILL. Restarting it")
        run.read_until("The writer is running again")
        run.read_until(r'"late" +"Ann"')
        assert urlopen(f"http://127.0.0.1:{port}/readyz").status == HTTPStatus.OK
        run.process.terminate()
        assert run.end() == 0, run.output


def test_follow_and_a_kill() -> None:
    """The example without a pipeline; killed, it follows again when its lease has ended."""
    with started("--stack", "follow") as run:
        endpoint = run.read_until(r"^ +AWS emulator +(\S+)")[1]
        process = run.read_until(r"^ +Process +(\d+)")[1]
        run.read_until("Check that there are no dead letters")
        listing = run.read_until(r"replicator dlq list.*")[0]
        assert listing.endswith(" --mongodb")
        run.read_until("Replicating until Ctrl-C")
        os.kill(int(process), signal.SIGKILL)
        put(endpoint, "mytable", {"id": {"N": "7"}, "Name": {"S": "Ann"}})
        run.read_until("replicator follow was killed by SIGKILL. Restarting it")
        run.read_until("replicator follow is running again")
        run.read_until('7 +"Ann"')
        run.process.terminate()
        assert run.end() == 0, run.output


def test_a_new_entry_and_a_mistake_take_effect_while_it_runs(tmp_path: Path) -> None:
    """The table is made, its stream is read, documents follow the new rules; a mistake changes nothing."""
    mapping = tmp_path / "my.yaml"
    mapping.write_text("tables:\n  people: {key: [id]}\n")
    with started("--mapping", str(mapping)) as run:
        run.read_until("Replicating until Ctrl-C")
        mapping.write_text(
            "tables:\n  people: {key: [id], fields: {name: {rename: Name}}}\n  orders-*: {key: [number]}\n"
        )
        run.read_until(r"^ +orders-\*: a new entry")
        run.read_until(r'^ +people: fields.name.rename: none -> "Name"')
        run.read_until("people → replicator.people: 3 documents")
        run.read_until(r"^ +_id +Name +count +id")
        run.read_until("orders-1 → replicator.orders-1: 3 documents")
        mapping.write_text("tables:\n  people: {key: [name]}\n")
        run.read_until("the key of an existing table cannot change")
        mapping.write_text("tables:\n  people: {mode: Merge}\n")
        run.read_until(r"my.yaml:2:18: tables.people.mode: 'Merge' is not known here")
        run.read_until("The writer keeps the previous mapping")
        run.process.terminate()
        assert run.end() == 0, run.output


def test_a_mistake_is_found_before_anything_starts(tmp_path: Path) -> None:
    """Exit status 1, and no server was started."""
    mapping = tmp_path / "my.yaml"
    mapping.write_text("tables: {people: {mode: Merge}}")
    with started("--mapping", str(mapping)) as run:
        assert run.end() == 1
    assert "my.yaml:1:25: tables.people.mode: 'Merge' is not known here" in run.output
    assert "Start MongoDB" not in run.output
