from pathlib import Path

import pymongo
import pytest

from local.errors import StackError
from local.servers.capabilities import MINISTACK
from local.servers.ministack import MiniStack
from local.servers.mongod import Mongod
from local.stack import Stack, StackKind

NAMES = ("AWS_ENDPOINT_URL", "LOCALSTACK_HOST", "MONGODB_URI")


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests decide what the environment names."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def test_two_stacks_live_beside_each_other_and_leave_nothing() -> None:
    """A second `make run` does not disturb the first: other ports, other data, another folder."""
    with Stack() as first, Stack() as second:
        assert first.endpoint_url != second.endpoint_url
        first.client("sqs").create_queue(QueueName="only-in-the-first")
        assert not second.client("sqs").list_queues().get("QueueUrls")
        with pymongo.MongoClient[dict[str, int]](first.mongodb_uri) as one:
            one.test.items.insert_one({"_id": 1})
        with pymongo.MongoClient[dict[str, int]](second.mongodb_uri) as other:
            assert other.test.items.find_one() is None
        folders = [first.folder, second.folder]
        servers = [server for stack in (first, second) for server in (stack.mongod, stack.emulator) if server]
        assert all(server.child.running for server in servers)
        assert all(folder.is_dir() for folder in folders)
    assert not any(server.child.running for server in servers)
    assert not any(folder.exists() for folder in folders)


@pytest.mark.parametrize("kind", [None, "localstack"])
def test_servers_that_the_environment_names_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: StackKind | None
) -> None:
    """Any LocalStack-compatible endpoint and any MongoDB work; nothing is started or stopped."""
    with MiniStack(tmp_path) as emulator, Mongod(tmp_path) as mongod:
        emulator.wait()
        mongod.wait()
        monkeypatch.setenv("MONGODB_URI", mongod.uri)
        host = emulator.endpoint_url.removeprefix("http://")
        for name, value in (("AWS_ENDPOINT_URL", emulator.endpoint_url), ("LOCALSTACK_HOST", host)):
            with monkeypatch.context() as patch:
                patch.setenv(name, value)
                with Stack(kind) as stack:
                    assert (stack.emulator, stack.mongod) == (None, None)
                    assert stack.capabilities == MINISTACK  # by what it is, not by what was requested
                    assert (stack.endpoint_url, stack.mongodb_uri) == (emulator.endpoint_url, mongod.uri)
                    assert stack.mongodb_version == mongod.version
        assert emulator.child.running
        assert mongod.child.running


def test_embedded_ignores_what_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """New servers are started, and no client uses the named ones."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("MONGODB_URI", "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with Stack("embedded") as stack:
        assert stack.emulator
        assert stack.environment()["AWS_ENDPOINT_URL"] == stack.emulator.endpoint_url
        assert stack.client("sqs").create_queue(QueueName="here")["QueueUrl"].startswith(stack.endpoint_url)


def test_a_named_endpoint_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the variable, and what was started is stopped."""
    monkeypatch.setenv("LOCALSTACK_HOST", "127.0.0.1:1")
    stack = Stack()
    with pytest.raises(StackError, match=r"LOCALSTACK_HOST names http://127\.0\.0\.1:1"):
        stack.__enter__()
    assert stack.mongod
    assert not stack.mongod.child.running
    assert not stack.folder.exists()


def test_the_folder_is_kept_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """KEEP=1 leaves data and logs to look at."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Stack(keep=True) as stack:
        folder = stack.folder
    assert folder.parent == tmp_path
    assert (folder / "mongod.log").stat().st_size > 0
    assert (folder / "emulator.log").stat().st_size > 0


def test_a_server_that_died_is_noticed() -> None:
    """`check` names it, with the end of its log."""
    with Stack() as stack:
        stack.check()
        assert stack.emulator
        stack.emulator.child.kill()
        with pytest.raises(StackError, match="The AWS emulator stopped unexpectedly") as caught:
            stack.check()
    assert "Ready" in caught.value.log_tail
