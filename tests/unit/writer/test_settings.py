"""The writer's settings: all mistakes are reported at once, and no secret is shown."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest

from local.paths import ROOT
from shared.errors import FatalError
from writer.settings import DRAIN_GRACE, HELP, Settings

SECRET = "hunter2"
GOOD = {
    "QUEUE_URL": "https://sqs/q.fifo",
    "DEAD_LETTER_QUEUE_URL": "https://sqs/d.fifo",
    "MONGODB_URI": f"mongodb://u:{SECRET}@host/",
    "MONGODB_DATABASE": "target",
}
ECS_KILLS_AFTER = 30


def test_four_settings_are_enough() -> None:
    """The defaults are those of the documentation."""
    settings = Settings.read(GOOD)
    assert (settings.pool_size, settings.loops, settings.status_port) == (4, 8, 8080)
    assert (settings.replication_file, settings.log_level) == (None, "INFO")
    assert settings.mongodb_client == "motor"
    assert DRAIN_GRACE < ECS_KILLS_AFTER


def test_all_settings_are_read() -> None:
    """Every one of them has an effect."""
    settings = Settings.read(
        {**GOOD, "REPLICATION_FILE": "r.yaml", "POOL_SIZE": "7", "STATUS_PORT": "0", "LOG_LEVEL": "debug"}
    )
    assert (settings.replication_file, settings.pool_size, settings.status_port) == ("r.yaml", 7, 0)
    assert settings.log_level == "DEBUG"
    assert settings.cloudwatch_metrics is None
    assert Settings.read({**GOOD, "MONGODB_CLIENT": "pymongo"}).mongodb_client == "pymongo"
    assert Settings.read({**GOOD, "CLOUDWATCH_METRICS": " replicator "}).cloudwatch_metrics == "replicator"


def test_names_are_compared_in_lower_case() -> None:
    """Several, separated by commas; none is usual."""
    assert Settings.read(GOOD).status_names == frozenset()
    settings = Settings.read({**GOOD, "STATUS_NAMES": "Status.example.com, writer.example.com,"})
    assert settings.status_names == {"status.example.com", "writer.example.com"}


def test_nothing_set_names_everything() -> None:
    """In one message, with what each is."""
    with pytest.raises(FatalError) as caught:
        Settings.read({})
    for name in GOOD:
        assert f"{name} is missing" in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"POOL_SIZE": "0"}, "POOL_SIZE=0"),
        ({"POOL_SIZE": "four"}, "POOL_SIZE='four'"),
        ({"STATUS_PORT": "65536"}, "STATUS_PORT=65536"),
        ({"LOG_LEVEL": "LOUD"}, "LOG_LEVEL='LOUD'"),
        ({"MONGODB_CLIENT": "mysql"}, "MONGODB_CLIENT='MYSQL'"),
        ({"MONGODB_DATABASE": "admin"}, "MONGODB_DATABASE='admin'"),
        ({"MONGODB_DATABASE": "a.b"}, "MONGODB_DATABASE='a.b'"),
        ({"MONGODB_DATABASE": "a/b"}, "MONGODB_DATABASE='a/b'"),
        ({"MONGODB_DATABASE": "é" * 32}, "has more than the 63 bytes"),
        ({"QUEUE_URL": "  "}, "QUEUE_URL is missing"),
        ({"STATUS_NAMES": "a.example, https://b.example"}, "STATUS_NAMES: 'https://b.example'"),
        ({"STATUS_NAMES": "a.example:8080"}, "STATUS_NAMES: 'a.example:8080'"),
    ],
)
def test_each_mistake_is_named_beside_the_others(wrong: dict[str, str], named: str) -> None:
    """The first mistake does not hide the second."""
    with pytest.raises(FatalError) as caught:
        Settings.read({**GOOD, "POOL_SIZE": "-1", "STATUS_PORT": "x", **wrong})
    assert named in str(caught.value)
    assert str(caught.value).count(";") >= 1
    assert SECRET not in str(caught.value)


def test_the_secret_is_not_shown() -> None:
    """Not even when somebody logs the settings."""
    assert SECRET not in repr(Settings.read(GOOD))


@pytest.mark.parametrize("name", ["r\u00e9plicateur", "a\tb", "x" * 1025], ids=["letter", "control", "long"])
def test_a_name_that_cloudwatch_does_not_take(name: str) -> None:
    """It is the value of a dimension. Checked at the start, because CloudWatch would not report it."""
    with pytest.raises(FatalError, match="CLOUDWATCH_METRICS"):
        Settings.read({**GOOD, "CLOUDWATCH_METRICS": name})


class Recorded(dict[str, str]):
    """An environment that notes which variables are read."""

    def __init__(self) -> None:
        super().__init__(GOOD)
        self.read: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.read.add(name)
        return super().get(name, default)


def test_help_names_every_variable() -> None:
    """`python -m writer --help` and docs/settings.md have what is read, and nothing else."""
    environment = Recorded()
    Settings.read(environment)
    named = set(re.findall(r"^  ([A-Z_]+) ", HELP, re.MULTILINE))
    assert named == environment.read
    page = (ROOT / "docs" / "settings.md").read_text()
    assert [name for name in sorted(named) if f"`{name}`" not in page] == []


@pytest.mark.parametrize(("arguments", "status"), [(["--help"], 0), (["-h"], 0), (["--queue-url", "x"], 2)])
def test_the_writer_takes_no_arguments(arguments: list[str], status: int) -> None:
    """Help is printed without a setting, and another argument is refused: it would be ignored."""
    asked = [sys.executable, "-m", "writer", *arguments]
    ran = subprocess.run(  # noqa: S603 - our own module
        asked, cwd=ROOT, env={}, capture_output=True, text=True, check=False
    )
    assert ran.returncode == status
    assert ("DEAD_LETTER_QUEUE_URL" in ran.stdout) == (status == 0)
