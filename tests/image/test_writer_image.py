"""The writer's image, built and run as docs/docker.md says; on a base that is Debian's, not Docker Hub's."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from local.paths import ROOT
from local.polling import wait_until
from local.processes import ports
from shared.release import VERSION
from tests.image import base
from tests.image.compose import COMMIT, WRITER
from tests.image.container import Container
from tests.image.replication import Replication
from tests.support import images, lock_files, task_definition
from tests.support.builders import TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.stack import Stack
    from tests.conftest import Queues
    from tests.image.engine import Engine

pytestmark = pytest.mark.usefixtures("writer_image")

MOST_OVER_BASE = 80_000_000
"""Bytes: "about 70 MB" in docs/docker.md."""

LOOK = """
import errno, json, os, pathlib, sys
def refused(folder):
    try:
        pathlib.Path(folder, "file").touch()
    except OSError as error:
        return errno.errorcode[error.errno]
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
files = [pathlib.Path(top, name) for start in ("/app", "/opt", "/usr", "/etc", "/var", "/tmp")
    for top, _, names in os.walk(start) for name in names]
modules = [each for each in files if each.suffix == ".py" and each.is_relative_to("/app")]
print(json.dumps({
    "python": ".".join(map(str, sys.version_info[:2])),
    "ids": [os.getpid(), os.getuid(), os.getgid(), *os.getgroups()],
    "refused": {each: refused(each) for each in ("/", "/app", "/tmp", "/var/tmp", "/opt/venv")},
    "capabilities": {status[name].strip() for name in ("CapEff", "CapPrm", "CapBnd")} != {"0" * 16},
    "no new privileges": status["NoNewPrivs"].strip(),
    "owned": [str(each) for each in files if each.lstat().st_uid == 65532],
    "modules": len(modules),
    "without bytecode": [str(each) for each in modules
        if not list(each.parent.glob(f"__pycache__/{each.stem}.*.pyc"))],
    "app": sorted(os.listdir("/app")),
}))
"""

HOOKS = """
def named(document, change):
    document["hook"] = "ran"
    return document
"""
HOOKS_THAT_IMPORT = "import dotenv\n" + HOOKS
MAPPING = f"tables: {{{TABLE}: {{key: [id], hook: 'hooks:named'}}}}\n"


@pytest.fixture
def replication(stack: Stack, queues: Queues, database: str) -> Iterator[Replication]:
    """What a writer has to do."""
    with ports.free_port(0) as status:
        yield Replication(stack, queues, database, status.number)


def volume(file: Path, place: str) -> str:
    """The option that mounts one file, as the documents write it."""
    return f"--volume={file}:{place}:ro"


def test_it_is_small_and_says_what_it_is(engine: Engine, writer_image: dict[str, Any]) -> None:
    """User, command, health check and port are the Dockerfile's; the size is that of docs/docker.md."""
    config = writer_image["Config"]
    by_name = {each.name: each for each in images.instructions(images.WRITER)}
    assert config["User"] == by_name["USER"].value == task_definition.container()["User"]
    assert config["Entrypoint"] == by_name["ENTRYPOINT"].exec_form
    assert writer_image["Healthcheck"]["Test"] == ["CMD", *by_name["HEALTHCHECK"].exec_form]
    assert writer_image["Healthcheck"]["Test"] == task_definition.container()["HealthCheck"]["Command"]
    assert set(config["ExposedPorts"]) == {"8080/tcp"}
    assert config["WorkingDir"] == "/app"
    size = writer_image["Size"] - int(engine.podman("image", "inspect", "--format={{.Size}}", base.NAME))
    assert 0 < size < MOST_OVER_BASE


def test_it_can_change_nothing(engine: Engine, tmp_path: Path) -> None:
    """No right, no file of its own, nowhere to write; and nothing is compiled again."""
    entry = "--entrypoint=python"
    with Container(engine, tmp_path / "log", {}, entry, command=["-c", LOOK]) as container:
        assert container.wait() == 0, container.output
        seen = json.loads(container.output)
    assert seen["python"] == base.PYTHON
    assert seen["ids"] == [1, 65532, 65532, 65532]
    assert None not in seen["refused"].values()
    assert seen["refused"]["/tmp"] == "EROFS"  # noqa: S108 - a folder in the container
    assert not seen["capabilities"]
    assert seen["no new privileges"] == "1"
    assert not seen["owned"]
    assert seen["modules"] > 50
    assert not seen["without bytecode"]
    assert seen["app"] == ["__pycache__", "healthcheck.py", "replication.yaml", "shared", "writer"]


def test_it_drains_and_stops_under_load(engine: Engine, replication: Replication, tmp_path: Path) -> None:
    """With the task definition's settings, and a hook that is mounted; SIGTERM loses nothing, and is 0."""
    (tmp_path / "replication.yaml").write_text(MAPPING)
    (tmp_path / "hooks.py").write_text(HOOKS)
    mounted = [volume(tmp_path / name, f"/app/{name}") for name in ("replication.yaml", "hooks.py")]
    while replication.sent < 330:
        replication.send()
    assert replication.settings["REPLICATION_FILE"] == "/app/replication.yaml"
    with Container(engine, tmp_path / "first", replication.settings, *mounted) as writer:
        writer.wait_for("status server listening")
        wait_until(lambda: len(replication.documents()) == 330, what="all documents")
        assert replication.documents()[0]["hook"] == "ran"
        assert writer.run(task_definition.container()["HealthCheck"]["Command"][1:]) == 0
        with replication.sending():
            wait_until(lambda: len(replication.documents()) > 350, what="the load")
            writer.terminate()
            assert writer.wait() == 0, writer.output
            ended = replication.sent
            wait_until(lambda: replication.sent > ended, what="changes that nobody takes")
        assert '"draining: ' in writer.output
        assert '"ERROR"' not in writer.output
        (began,) = (line for line in map(json.loads, writer.output.splitlines()) if "version" in line)
        assert (began["message"], began["version"], began["commit"]) == ("replicating", VERSION, COMMIT)
    with Container(engine, tmp_path / "second", replication.settings, *mounted):
        wait_until(lambda: set(replication.documents()) == set(range(replication.sent)), what="the rest")
    assert replication.parked() == []


def test_it_refuses_all_tables_by_itself(engine: Engine, replication: Replication, tmp_path: Path) -> None:
    """The mapping that is in the image names none: what comes is parked, and nothing is replicated."""
    replication.send()
    with Container(engine, tmp_path / "log", replication.settings):
        assert set(wait_until(replication.parked, what="a dead letter")) == {"unnamed-table"}


def test_an_image_of_ones_own_has_hooks_with_packages(
    engine: Engine, replication: Replication, tmp_path: Path
) -> None:
    """The Dockerfile of docs/docker.md, with its line that installs what hooks import."""
    text = (ROOT / "docs" / "docker.md").read_text(encoding="utf-8")
    (dockerfile,) = re.findall(r"^```dockerfile\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    (install,) = re.findall(r"`(RUN /usr/local/bin/python -m pip .*) …`", text)
    first, rest = dockerfile.split("\n", 1)
    (package,) = (
        f"{each.name}{each.specifier}"
        for each, _ in lock_files.read(lock_files.FOLDER / "dev.txt")
        if each.name == "python-dotenv"
    )
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text(f"{first}\nUSER root\n{install} {package}\nUSER 65532:65532\n{rest}")
    (context / "replication.yaml").write_text(MAPPING)
    (context / "hooks.py").write_text(HOOKS_THAT_IMPORT)
    engine.podman("tag", WRITER, first.removeprefix("FROM "))
    engine.build(context / "Dockerfile", context, "writer-with-hooks")
    replication.send()
    settings = {**replication.settings}
    del settings["REPLICATION_FILE"]  # it is in the image
    with Container(engine, tmp_path / "log", settings, image="writer-with-hooks") as writer:
        writer.wait_for("status server listening")
        found = wait_until(lambda: replication.documents().get(0), what="a document")
        assert found["hook"] == "ran"


def test_wrong_settings_are_one_sentence(engine: Engine, replication: Replication, tmp_path: Path) -> None:
    """Exit status 2, all of them named, and no secret."""
    wrong = {"QUEUE_URL": "", "POOL_SIZE": "many", "MONGODB_URI": "mongodb://u:hunter2@host/"}
    with Container(engine, tmp_path / "log", {**replication.settings, **wrong}) as writer:
        assert writer.wait() == 2
        (line,) = writer.output.splitlines()
    assert all(name in json.loads(line)["reason"] for name in ("QUEUE_URL", "POOL_SIZE"))
    assert "hunter2" not in line
