"""Logins without a password, as far as a local server can: by certificate, and by a role of AWS."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

import pymongo
import pytest

from local.servers.mongod import REPLICA_SET
from shared.errors import FatalError
from tests.contract.secure_mongod import ADMIN, secure_mongod
from tests.support.builders import put, write
from tests.support.credentials_endpoint import SECRET, credentials_endpoint
from tests.support.sinks import sink_on
from writer.ports import Outcome

if TYPE_CHECKING:
    from pathlib import Path

    from local.stack import Stack

SUBJECT = "/O=replicator/OU=writers/CN=writer"
USER = "CN=writer,OU=writers,O=replicator"  # the same as MongoDB writes it (RFC 2253)


async def test_by_certificate(tmp_path: Path) -> None:
    """A user of `$external` is the subject of a certificate; the connection string has no secret."""
    with secure_mongod(tmp_path) as mongod:
        certificate = mongod.client_certificate(tmp_path, SUBJECT)
        rights = [{"role": "readWriteAnyDatabase", "db": "admin"}]
        with pymongo.MongoClient[dict[str, object]](mongod.uri(user=ADMIN)) as client:
            client["$external"].command("createUser", USER, roles=rights)
        uri = (
            f"mongodb://{mongod.server.address}/?replicaSet={REPLICA_SET}&authMechanism=MONGODB-X509"
            f"&tls=true&tlsCAFile={quote_plus(str(mongod.authority))}"
            f"&tlsCertificateKeyFile={quote_plus(str(certificate))}"
        )
        with sink_on(uri, "by_certificate") as sink:
            await sink.open()
            assert await sink.apply([write(put(1, 1))]) == Outcome(inserted=1)
        other = mongod.client_certificate(tmp_path, SUBJECT.replace("CN=writer", "CN=other"))
        nobody = uri.replace(certificate.name, other.name)
        with sink_on(nobody, "by_certificate") as sink, pytest.raises(FatalError, match="login"):
            await sink.open()


async def test_by_role(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver asks for the task role's credentials where containers have them, and MongoDB is asked.

    Only Atlas knows the mechanism. A server that does not is a sentence, at the start.
    """
    address = stack.mongodb_uri.partition("://")[2].partition("/")[0]
    uri = f"mongodb://{address}/?replicaSet={REPLICA_SET}&authMechanism=MONGODB-AWS"
    with credentials_endpoint() as endpoint:
        environment = endpoint.environment(os.environ)
        for name in os.environ.keys() - environment.keys():
            monkeypatch.delenv(name)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        with sink_on(uri, "by_role") as sink, pytest.raises(FatalError) as refused:
            await sink.open()
        assert endpoint.asked
    assert "refuses the login (code 334)" in str(refused.value)
    assert SECRET not in str(refused.value)
