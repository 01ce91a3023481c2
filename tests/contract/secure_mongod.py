"""A `mongod` as in production: TLS, and users with passwords; with certificates that are made for it."""

from __future__ import annotations

import secrets
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

import pymongo

from local.servers.mongod import REPLICA_SET, Mongod
from tests.support.tools import need

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

USER, PASSWORD = "writer", "p@ss/hunter2-do-not-log"
ADMIN = "admin"


@dataclass(frozen=True)
class SecureMongod:
    """It runs.

    Attributes:
        server: the process.
        authority: the file of the authority that its certificate is from.
        stranger: that of another authority.
    """

    server: Mongod
    authority: Path
    stranger: Path

    def uri(self, authority: Path | None = None, password: str = PASSWORD, user: str = USER) -> str:
        """The connection string of a user; by default of the writer's."""
        ca_file = quote_plus(str(authority or self.authority))
        return (
            f"mongodb://{user}:{quote_plus(password)}@{self.server.address}/?replicaSet={REPLICA_SET}"
            f"&authSource=admin&tls=true&tlsCAFile={ca_file}"
        )

    def client_certificate(self, folder: Path, subject: str) -> Path:
        """Makes one of this subject, with its key in the same file."""
        return _certificate(folder, self.authority, subject)


@contextmanager
def secure_mongod(folder: Path) -> Iterator[SecureMongod]:
    """Starts one; `folder` is for its data, certificates and keys."""
    need("openssl")
    authority, stranger = _authority(folder, "authority"), _authority(folder, "stranger")
    key_file = folder / "members.key"
    key_file.write_text(secrets.token_hex(32))
    key_file.chmod(0o400)
    options: list[str | Path] = [
        *("--tlsMode", "requireTLS", "--tlsCertificateKeyFile", _certificate(folder, authority)),
        *("--tlsCAFile", authority, "--tlsAllowConnectionsWithoutCertificates"),
        *("--auth", "--keyFile", key_file),
    ]
    tls: dict[str, Any] = {"tls": True, "tlsCAFile": str(authority)}
    with Mongod(folder, options=options, client_options=tls) as server:
        server.wait()
        # The first user is made from this machine, before there is any (manual, "Localhost Exception").
        with pymongo.MongoClient[dict[str, Any]](server.address, directConnection=True, **tls) as client:
            client.admin.command("createUser", ADMIN, pwd=PASSWORD, roles=["root"])
        found = SecureMongod(server, authority, stranger)
        with pymongo.MongoClient[dict[str, Any]](found.uri(user=ADMIN)) as client:
            client.admin.command("createUser", USER, pwd=PASSWORD, roles=["readWriteAnyDatabase"])
        yield found


def _authority(folder: Path, name: str) -> Path:
    certificate = folder / f"{name}.pem"
    _openssl(
        *(
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ),
        *("-subj", f"/CN={name}", "-keyout", folder / f"{name}.key", "-out", certificate),
    )
    return certificate


def _certificate(folder: Path, authority: Path, subject: str = "/CN=server") -> Path:
    """A certificate for this machine with its key, in one file, as mongod wants it."""
    name = subject.rpartition("=")[2]
    key, request, certificate = folder / f"{name}.key", folder / f"{name}.csr", folder / f"{name}.crt"
    extensions = folder / "extensions"
    extensions.write_text("subjectAltName=IP:127.0.0.1\n")
    _openssl(
        *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-subj", subject, "-keyout", key, "-out", request),
    )
    _openssl(
        *("x509", "-req", "-in", request, "-CA", authority, "-CAkey", authority.with_suffix(".key")),
        *("-CAcreateserial", "-days", "2", "-extfile", extensions, "-out", certificate),
    )
    both = folder / f"{name}.pem"
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    return both


def _openssl(*arguments: str | Path) -> None:
    # S603, S607: a fixed program, no shell.
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)  # noqa: S603, S607
