"""The images and compose.yaml, as far as they can be looked at without Docker."""

from __future__ import annotations

import http.server
import re
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from deploy.healthcheck import problem
from deploy.target import Target
from local.example.scenario import DATABASE
from local.paths import ROOT
from tests.support import images
from writer.mapping.model import UnnamedTables
from writer.mapping.parser import parse_replication
from writer.settings import DRAIN_GRACE, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WRITER_TEMPLATE = ROOT / "deploy" / "writer.yaml"
DOCKERFILES = [images.WRITER, images.PIPELINE]
EXACT_VERSION = re.compile(r"[a-z0-9./-]+:\d+\.\d+\.\d+(-[a-z]+)*(@sha256:[0-9a-f]{64})?")


def named(dockerfile: Path, name: str) -> list[images.Instruction]:
    return [each for each in images.instructions(dockerfile) if each.name == name]


@pytest.fixture(params=DOCKERFILES, ids=["writer", "pipeline"])
def dockerfile(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_the_image_does_not_run_as_root_and_has_no_shell_between(dockerfile: Path) -> None:
    """By number, so that an orchestrator can check it; SIGTERM reaches Python."""
    names = [each.name for each in images.instructions(dockerfile)]
    assert names.index("USER") > max(place for place, name in enumerate(names) if name in {"RUN", "FROM"})
    user, group = named(dockerfile, "USER")[-1].value.split(":")
    assert int(user) > 0 < int(group)
    assert named(dockerfile, "ENTRYPOINT")[-1].exec_form[:2] == ["python", "-m"]


def test_bases_are_exact_versions(dockerfile: Path) -> None:
    """The same image tomorrow; and a digest may follow."""
    arguments = dict(each.value.split("=", 1) for each in named(dockerfile, "ARG"))
    for each in named(dockerfile, "FROM"):
        base = each.words[0]
        assert EXACT_VERSION.fullmatch(arguments[base[2:-1]] if base.startswith("$") else base)


def test_dependencies_are_the_locked_ones(dockerfile: Path) -> None:
    """Each file has its hash, and nothing is built from sources."""
    (install,) = (each.value for each in named(dockerfile, "RUN") if "-m pip " in each.value)
    assert "--require-hashes" in install
    assert "--only-binary=:all:" in install


def test_everything_that_is_copied_is_there(dockerfile: Path) -> None:
    """In git, and let in by .dockerignore."""
    files = images.context()
    for source in images.copied(dockerfile):
        assert any(path.is_relative_to(source) for path in files), source


def test_nothing_else_goes_to_the_builder() -> None:
    """No environment, no data, no secret that lies about: only folders that an image copies from."""
    tops = {source.split("/")[0] for each in DOCKERFILES for source in images.copied(each)}
    assert {path.parts[0] for path in images.context()} == tops


def test_the_pipeline_image_can_package_the_lambda() -> None:
    """For the Python and the machine that LocalStack will run it on."""
    build = next(each.value for each in named(images.PIPELINE, "RUN") if "deploy.package" in each.value)
    base = named(images.PIPELINE, "FROM")[0].value
    target = Target(f"python{base.removeprefix('python:').rpartition('.')[0]}")
    assert f"--runtime {target.runtime} " in build
    assert {"deploy", "producer_lambda", "shared", "requirements/producer.txt"} <= set(
        images.copied(images.PIPELINE)
    )


class Status(http.server.BaseHTTPRequestHandler):
    """A writer's status server."""

    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/healthz" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    with http.server.HTTPServer(("127.0.0.1", 0), Status) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("host", [None, "", "0.0.0.0", "127.0.0.1"])  # noqa: S104 - what a writer may listen on
def test_the_health_check_asks_where_the_writer_listens(port: int, host: str | None) -> None:
    """STATUS_HOST and STATUS_PORT are settings of the writer, and no proxy is asked."""
    environment = {"STATUS_PORT": str(port), "http_proxy": "http://127.0.0.1:9"}
    assert problem(environment | ({} if host is None else {"STATUS_HOST": host})) == ""


def test_the_health_check_tells_what_is_wrong(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that answers with an error, or not at all, or somewhere."""
    monkeypatch.setattr(Status, "status", 500)
    assert problem({"STATUS_PORT": str(port)}) == "/healthz answers 500."
    assert "does not answer" in problem({"STATUS_PORT": str(port), "STATUS_HOST": "127.0.0.2"})
    assert "any free port" in problem({"STATUS_PORT": "0"})


def test_the_health_check_of_the_image_is_in_the_image() -> None:
    """It needs nothing but the standard library, and a failure is exit status 1."""
    (check,) = named(images.WRITER, "HEALTHCHECK")
    python, *options, path = check.exec_form
    (source,) = (source for source, place in images.copied(images.WRITER).items() if place == path)
    environment = {"STATUS_PORT": "9", "STATUS_HOST": "127.0.0.1"}
    command = [sys.executable, *options, str(ROOT / source)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    assert (python, result.returncode) == ("python", 1)
    assert "does not answer" in result.stderr


def test_a_new_stack_replicates_named_tables_only() -> None:
    """The mapping in the image, which the stack takes by default, refuses what it does not name."""
    path = re.search(r"ReplicationFile:\n    Type: String\n    Default: (\S+)\n", WRITER_TEMPLATE.read_text())
    assert path is not None
    (source,) = (source for source, place in images.copied(images.WRITER).items() if place == path[1])
    mapping = parse_replication((ROOT / source).read_text(), source)
    assert mapping.unnamed_tables is UnnamedTables.REFUSE


SERVICES = images.compose()["services"]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_waits_for_what_it_can_wait_for(name: str) -> None:
    """Healthy: it has a health check. Completed: it ends by itself, so it has none, and no restart."""
    for other, wait in SERVICES[name].get("depends_on", {}).items():
        conditions = {True: "service_healthy", False: "service_completed_successfully"}
        assert wait["condition"] == conditions["healthcheck" in SERVICES[other]]
        assert "restart" not in SERVICES[other]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_is_pinned_and_closed(name: str) -> None:
    """Images by exact version, ports on loopback only, files that exist, as many instances as wanted."""
    service = SERVICES[name]
    if image := service.get("image"):
        assert EXACT_VERSION.fullmatch(image)
    else:
        assert (ROOT / service["build"]["dockerfile"]).is_file()
        assert service["read_only"] is True
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    for source in (volume.split(":")[0] for volume in service.get("volumes", [])):
        assert (
            source in images.compose()["volumes"]
            or source == "/var/run/docker.sock"
            or (ROOT / source).is_file()
        )
    assert "container_name" not in service


def test_the_writer_gets_its_settings_and_its_time() -> None:
    """Those of the deployment come from the file; SIGKILL comes after the writer's own limit."""
    writer = SERVICES["writer"]
    urls = {
        "QUEUE_URL": "http://localstack:4566/a.fifo",
        "DEAD_LETTER_QUEUE_URL": "http://localstack:4566/b.fifo",
    }
    settings = Settings.read(writer["environment"] | urls)
    assert settings.mongodb_database == DATABASE
    assert not {"QUEUE_URL", "DEAD_LETTER_QUEUE_URL"} & set(writer["environment"])
    assert f"{settings.replication_file}:ro" in " ".join(writer["volumes"])
    assert float(writer["stop_grace_period"].removesuffix("s")) > DRAIN_GRACE
    assert "ports" not in writer
    assert writer["user"] == named(images.WRITER, "USER")[-1].value
