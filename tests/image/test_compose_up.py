"""`docker compose up` as far as podman-compose and stand-ins for LocalStack and MongoDB go."""

from __future__ import annotations

import datetime as dt
import json
import shlex
from typing import TYPE_CHECKING, Any

import pytest

from local.paths import ENVIRONMENT, ROOT
from local.polling import wait_until
from tests.support import images

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.image.compose import Compose

WRITERS = 3

_PUT = """
import boto3
table = boto3.resource("dynamodb", endpoint_url="http://127.0.0.1:4566", region_name="us-east-1",
    aws_access_key_id="test", aws_secret_access_key="test").Table("mytable")
table.put_item(Item={"id": 1, "Name": "John"})
"""


@pytest.fixture(scope="module")
def up(compose: Compose) -> Iterator[Compose]:
    """All services, as the documents start them; stopped and removed afterwards."""
    compose.build_stand_ins()
    compose("up", "--detach", "--no-build", "--scale", f"writer={WRITERS}")
    yield compose
    # podman-compose counts those of `--scale` as orphans.
    compose("down", "--volumes", "--remove-orphans")
    assert not compose.engine.podman("ps", "--all", "--quiet")


def states(compose: Compose, *containers: str) -> list[dict[str, Any]]:
    return [each["State"] for each in compose.inspect(*containers)]


def writers(compose: Compose) -> list[str]:
    return [compose.container("writer", number) for number in range(1, WRITERS + 1)]


def test_the_services_start_in_order(up: Compose) -> None:
    """Servers that are well, then the pipeline, and writers when that has succeeded."""
    servers = states(up, up.container("localstack"), up.container("mongodb"))
    (pipeline,) = states(up, up.container("pipeline"))
    assert [each["Health"]["Status"] for each in servers] == ["healthy"] * 2
    assert (pipeline["Status"], pipeline["ExitCode"]) == ("exited", 0)
    checks = [[each for each in server["Health"]["Log"] if not each["ExitCode"]] for server in servers]
    well = [moment(first["End"]) for first, *_ in checks]
    assert max(well) < moment(pipeline["StartedAt"])
    for each in states(up, *writers(up)):
        assert each["Status"] == "running"
        assert moment(pipeline["FinishedAt"]) < moment(each["StartedAt"])


def moment(text: str) -> dt.datetime:
    """A time as podman writes it, with nanoseconds."""
    head, _, tail = text.partition(".")
    fraction = tail.rstrip("Z").partition("+")[0][:6]
    return dt.datetime.fromisoformat(f"{head}.{fraction}+00:00")


def test_the_health_check_makes_the_replica_set(up: Compose) -> None:
    """Its JavaScript, by mongosh: as the first check after the start, and again when there is a primary."""
    check = images.compose()["services"]["mongodb"]["healthcheck"]["test"]
    command = ["podman", "exec", up.container("mongodb"), *check[1:]]
    assert check[0] == "CMD"
    assert up.engine.run(command, check=False).returncode == 0
    status = up("exec", "-T", "mongodb", "mongosh", "--quiet", "--eval", "JSON.stringify(rs.conf().members)")
    (member,) = json.loads(status.stdout)
    assert member["host"] == "mongodb:27017"


def test_the_health_check_fails_where_there_is_no_server(up: Compose) -> None:
    """Exit status 1, as the engine wants it."""
    check = images.compose()["services"]["mongodb"]["healthcheck"]["test"]
    words = [*check[1:3], "--port=1", *check[3:]]
    assert up.engine.run(["podman", "exec", up.container("mongodb"), *words], check=False).returncode == 1


def test_the_example_arrives(up: Compose) -> None:
    """As the documents look at it; the port of LocalStack is there from outside."""
    up.engine.run([ENVIRONMENT / "bin" / "python", "-c", _PUT], own_network=True)
    line = next(
        line
        for line in (ROOT / "docs" / "docker.md").read_text().splitlines()
        if line.startswith("docker compose exec mongodb mongosh")
    )
    words = shlex.split(line.removeprefix("docker compose exec "))
    found = wait_until(lambda: up("exec", "-T", *words).stdout.strip("[]\n "), what="the item")
    assert "Name: 'John'" in found
    assert "age: null" in found  # by replication.yaml


def test_all_writers_are_well_and_end_in_order(up: Compose) -> None:
    """Read-only, without rights, each with the queue that the pipeline made; SIGTERM ends them with 0."""
    for name in writers(up):
        check = ["podman", "healthcheck", "run", name]
        wait_until(
            lambda check=check: up.engine.run(check, check=False).returncode == 0,  # type: ignore[misc]
            what=f"{name} to be well",
        )
    for each in up.inspect(*writers(up)):
        assert each["Config"]["User"] == "65532:65532"
        assert each["HostConfig"]["ReadonlyRootfs"]
        assert not each["EffectiveCaps"]
        assert "no-new-privileges" in each["HostConfig"]["SecurityOpt"]
    grace = images.compose()["services"]["writer"]["stop_grace_period"].removesuffix("s")
    up.engine.run(["podman", "stop", f"--time={grace}", *writers(up)], own_network=True)
    ended = [(each["Status"], each["ExitCode"]) for each in states(up, *writers(up))]
    up.engine.run(["podman", "start", *writers(up)], own_network=True)
    assert ended == [("exited", 0)] * WRITERS
