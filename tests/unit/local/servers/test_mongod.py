from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymongo
import pytest

from local.errors import StackError
from local.servers.mongod import Mongod, check_reachable, find_mongod, mongod_version, without_password


def script(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def mongod(tmp_path: Path) -> Iterator[Mongod]:
    with Mongod(tmp_path) as server:
        server.wait()
        yield server


def test_a_mongod_on_path_comes_first(tmp_path: Path) -> None:
    """An installed MongoDB is used."""
    installed = script(tmp_path / "mongod", "exit 0")
    packaged = script(tmp_path / "packaged", "exit 0")
    assert find_mongod(search_path=str(tmp_path), wheel=packaged) == installed
    assert find_mongod(search_path="", wheel=packaged) == packaged


def test_no_mongod_at_all_says_what_to_do(tmp_path: Path) -> None:
    """The error names both solutions."""
    with pytest.raises(StackError, match=r"Install MongoDB.*or set MONGODB_URI"):
        find_mongod(search_path="", wheel=tmp_path / "nothing")


def test_a_missing_library_says_what_to_install(tmp_path: Path) -> None:
    """The loader's error is completed by the names of the packages."""
    complaint = "mongod: error while loading shared libraries: libcurl.so.4: cannot open shared object file"
    broken = script(tmp_path / "mongod", f'echo "{complaint}" >&2; exit 127')
    with pytest.raises(StackError, match=r"libcurl\.so\.4(.|\n)*apt-get install libcurl4 libssl3"):
        mongod_version(broken)


def test_a_killed_mongod_starts_again_with_its_data(mongod: Mongod) -> None:
    """Tests of outages rely on it: what was acknowledged before the kill exists after the restart."""
    with pymongo.MongoClient[dict[str, Any]](mongod.uri, serverSelectionTimeoutMS=20_000) as client:
        client.test.items.with_options(write_concern=pymongo.WriteConcern("majority")).insert_one({"_id": 1})
        mongod.kill()
        with pytest.raises(StackError, match=r"killed by SIGKILL"):
            mongod.child.check()
        mongod.restart()
        assert client.test.items.find_one() == {"_id": 1}
        client.test.items.insert_one({"_id": 2})
        assert client.admin.command("getCmdLineOpts")["parsed"]["net"]["bindIp"] == "127.0.0.1"


def test_a_mongodb_that_is_not_there_is_reported_without_its_password() -> None:
    """No secret reaches the screen."""
    with pytest.raises(
        StackError, match=r"^MONGODB_URI names 127.0.0.1:1, where no MongoDB can be reached\. [^.]*\.$"
    ) as caught:
        check_reachable("mongodb://user:hunter2@127.0.0.1:1/?connectTimeoutMS=100", timeout_ms=100)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("mongodb://127.0.0.1:27017/?replicaSet=rs0", "mongodb://127.0.0.1:27017/?replicaSet=rs0"),
        ("mongodb://user:hunter2@a,b/db", "mongodb://user:***@a,b/db"),
        ("mongodb+srv://user:hunter2@a/", "mongodb+srv://user:***@a/"),
    ],
)
def test_a_uri_is_shown_without_its_password(uri: str, shown: str) -> None:
    """No secret is printed, and a URI without one can be copied."""
    assert without_password(uri) == shown
