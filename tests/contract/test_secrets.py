"""Planted secrets, sought wherever the writer speaks: logs, status pages, process arguments, dead letters."""

from __future__ import annotations

import hashlib
import http.client
import json
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

import pymongo
import pytest
from pymongo.errors import OperationFailure, PyMongoError, ServerSelectionTimeoutError

from local.polling import HANG_TIMEOUT_S, wait_until
from tests.contract.secure_mongod import PASSWORD, SecureMongod, secure_mongod
from tests.contract.test_writer_process import ended, running, sentence
from tests.support.builders import TABLE, body_of, put
from tests.support.commands import replicator
from tests.support.writer_settings import writer_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.stack import Stack
    from tests.conftest import Queues
    from tests.contract.test_writer_process import Running

SECRETS = {
    "password": PASSWORD,
    "password in a URI": quote_plus(PASSWORD),
    "half of the password": "hunter2",
    "secret key": "planted-secret-access-key",
    "session token": "planted-session-token",
}
PERSONAL = "planted-personal-data"
"""A value of documents: it is in MongoDB, and in the body of what is parked, and nowhere else."""

PATHS = ["/healthz", "/readyz", "/", "/metrics", "/no-such-page"]


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureMongod]:
    with secure_mongod(tmp_path_factory.mktemp("secure")) as found:
        yield found


@pytest.fixture
def environment(stack: Stack, queues: Queues, database: str, secure: SecureMongod) -> dict[str, str]:
    settings = stack.environment() | writer_settings(stack, queues, database)
    return settings | {
        "MONGODB_URI": secure.uri(),
        "LOG_LEVEL": "DEBUG",
        "AWS_SECRET_ACCESS_KEY": SECRETS["secret key"],
        "AWS_SESSION_TOKEN": SECRETS["session token"],
    }


def page(writer: Running, path: str) -> str:
    """Head and body of an answer."""
    listening = wait_until(lambda: writer.logged("status server listening"), what="a status server")
    connection = http.client.HTTPConnection("127.0.0.1", listening["port"], timeout=HANG_TIMEOUT_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return f"{response.status} {response.getheaders()} {response.read().decode()}"
    finally:
        connection.close()


def assert_silent(where: str, text: str, *also: str) -> None:
    assert text, where
    for name, secret in SECRETS.items():
        assert secret not in text, f"the {name} is in {where}"
    for value in also:
        assert value not in text, where


def assert_silent_outside(writer: Running) -> None:
    """Pages, arguments and log of a process."""
    for path in PATHS:
        assert_silent(path, page(writer, path), PERSONAL)
    arguments = Path(f"/proc/{writer.process.pid}/cmdline").read_text(encoding="utf-8")
    assert_silent("the process arguments", arguments)
    assert_silent("the log", writer.output, PERSONAL)


def send(stack: Stack, queues: Queues, *bodies: str) -> None:
    for body in bodies:
        stack.client("sqs").send_message(
            QueueUrl=queues.url,
            MessageBody=body,
            MessageGroupId="lane",
            MessageDeduplicationId=hashlib.sha256(body.encode()).hexdigest(),
        )


def letters(stack: Stack, queues: Queues) -> list[dict[str, Any]]:
    answer = stack.client("sqs").receive_message(
        QueueUrl=queues.dead_letter_url,
        MaxNumberOfMessages=10,
        MessageAttributeNames=["All"],
        VisibilityTimeout=0,
    )
    found: Any = answer.get("Messages", [])
    return list(found)


def test_a_working_writer_tells_no_secret(  # noqa: PLR0913, PLR0917 - fixtures
    tmp_path: Path,
    stack: Stack,
    queues: Queues,
    database: str,
    secure: SecureMongod,
    environment: dict[str, str],
) -> None:
    """At LOG_LEVEL=DEBUG, over TLS, with a user: while it works, and while it parks."""
    with pymongo.MongoClient[dict[str, Any]](secure.uri()) as client:
        client[database].create_collection(TABLE, validator={"refused": {"$exists": False}})
    bodies = [
        body_of(put(1, 2, refused=True, personal=PERSONAL)),  # refused by MongoDB
        body_of(put(1, ["x"], personal=PERSONAL)),  # refused by the plan
        json.dumps({"personal": PERSONAL}),  # not read at all
        body_of(put(1, 1, personal=PERSONAL)),
    ]
    send(stack, queues, *bodies)
    with running(tmp_path / "log", environment) as writer:
        wait_until(writer.ready, what="the writer to be ready")
        wait_until(lambda: len(letters(stack, queues)) == 3, what="three letters")
        with pymongo.MongoClient[dict[str, Any]](secure.uri()) as client:
            wait_until(
                lambda: client[database][TABLE].count_documents({"personal": PERSONAL}), what="a document"
            )
        assert_silent_outside(writer)
        for letter in letters(stack, queues):
            assert PERSONAL in letter["Body"]
            assert_silent("the body of a letter", letter["Body"])
            assert_silent("the attributes of a letter", str(letter["MessageAttributes"]), PERSONAL)
        assert writer.stop() == 0
    assert_silent("the log", writer.output, PERSONAL)


def test_a_server_that_is_not_trusted_is_waited_for(
    tmp_path: Path, secure: SecureMongod, environment: dict[str, str]
) -> None:
    """Its certificate is from another authority: nothing is sent to it, and `/readyz` says what is wrong."""
    with running(tmp_path / "log", environment | {"MONGODB_URI": secure.uri(secure.stranger)}) as writer:
        wait_until(lambda: writer.waits_for("mongodb"), what="it to wait for MongoDB")
        reason = writer.answer("/readyz")[1]["waiting_for"]["mongodb"]["reason"]
        assert "the certificate of the server is not trusted" in reason
        assert str(secure.stranger) not in reason
        assert_silent_outside(writer)


@pytest.mark.parametrize("content", [None, "no certificate"], ids=["missing", "not PEM"])
def test_a_file_of_an_authority_that_cannot_be_read_ends_it(
    tmp_path: Path, secure: SecureMongod, environment: dict[str, str], content: str | None
) -> None:
    """With a sentence that names the option, and not the URI."""
    authority = tmp_path / "authority.pem"
    if content is not None:
        authority.write_text(content, encoding="utf-8")
    writer = ended(tmp_path / "log", environment | {"MONGODB_URI": secure.uri(authority)})
    assert writer.process.returncode == 1
    assert "tlsCAFile" in sentence(writer)
    assert_silent("the log", writer.output)


def test_what_the_driver_raises_holds_no_password(secure: SecureMongod) -> None:
    """So that no traceback does: a refused password, a server that is not trusted, one that is not there."""
    wrong = f"{PASSWORD}-wrong"
    nobody = f"mongodb://writer:{quote_plus(wrong)}@127.0.0.1:1/?directConnection=true"
    uris: dict[str, type[PyMongoError]] = {
        secure.uri(password=wrong): OperationFailure,
        secure.uri(secure.stranger, wrong): ServerSelectionTimeoutError,
        nobody: ServerSelectionTimeoutError,
    }
    for uri, error_type in uris.items():
        milliseconds = 200 if error_type is ServerSelectionTimeoutError else 1000 * HANG_TIMEOUT_S
        with (
            pymongo.MongoClient[dict[str, Any]](uri, serverSelectionTimeoutMS=milliseconds) as client,
            pytest.raises(error_type) as caught,
        ):
            client["any"].command("ping")
        error = caught.value
        details = getattr(error, "details", "")
        assert_silent("an error", f"{error!r} {error} {details} {''.join(traceback.format_exception(error))}")


@pytest.mark.parametrize("command", ["backfill", "verify", "repair"])
@pytest.mark.parametrize(
    "uri",
    [f"mongodb://u:{quote_plus(PASSWORD)}@@host/", f"mongodb://u:{quote_plus(PASSWORD)}@127.0.0.1:1/?tls=1"],
    ids=["malformed", "wrong option"],
)
def test_commands_take_the_uri_from_the_environment(
    command: str,
    uri: str,
    monkeypatch: pytest.MonkeyPatch,
    aws_environment: None,  # noqa: ARG001
) -> None:
    """Where it is no process's argument; and what they say of one that is wrong does not repeat it."""
    monkeypatch.setenv("MONGODB_URI", uri)
    monkeypatch.setenv("MONGODB_DATABASE", "any")
    result = replicator(command, "no-such-table")
    assert result.status == 2
    assert_silent(command, result.out + result.err)
