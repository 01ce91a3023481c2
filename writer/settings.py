"""The writer's settings: one frozen object, read from the environment. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from shared.settings import LOG_LEVELS, Reader
from writer.names import Library, database_problem

LOOPS_PER_CONNECTION = 2
"""While one loop talks to SQS, another one uses the connection."""

MOST_CONNECTIONS = 100

_ALL_INTERFACES = "0.0.0.0"  # noqa: S104 - probes and scrapers come from outside the container

_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*").fullmatch

_LIBRARIES: Mapping[str, Library] = {"MOTOR": "motor", "PYMONGO": "pymongo"}

_LONGEST_NAME = 1024  # Amazon CloudWatch API reference, ``Dimension``

DRAIN_GRACE = 20.0
"""Seconds that a batch in flight may take after SIGTERM. Less than the 30 s after which ECS kills a task."""

HELP = """\
Drains the queue into MongoDB until SIGTERM or SIGINT. It takes no arguments, but these environment variables:

  QUEUE_URL              the FIFO queue
  DEAD_LETTER_QUEUE_URL  its dead-letter queue
  MONGODB_URI            connection string of the target
  MONGODB_DATABASE       the target database
  REPLICATION_FILE       path of replication.yaml; default: none, each table to the collection of its name
  POOL_SIZE              MongoDB connections; default: 4
  MONGODB_CLIENT         motor, or pymongo: PyMongo's own asynchronous client; default: motor
  STATUS_HOST            address of the status page, /healthz, /readyz and /metrics; default: 0.0.0.0
  STATUS_PORT            their port; 0: any free one, which is logged; default: 8080
  STATUS_NAMES           DNS names under which the status page is opened, separated by commas
  LOG_LEVEL              DEBUG, INFO, WARNING or ERROR; default: INFO
  CLOUDWATCH_METRICS     name under which CloudWatch makes metrics of the log; default: none

The region is AWS_REGION, else AWS_DEFAULT_REGION, else that of the profile. Credentials and endpoint come
from the AWS SDK's own variables, such as AWS_PROFILE and AWS_ENDPOINT_URL.

Exit status: 0 after a signal, 1 after an error that only a person can fix, 2 if a setting is wrong.
"""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of `python -m writer`.

    Attributes:
        queue_url, dead_letter_queue_url: of the two FIFO queues.
        mongodb_uri: a secret; never printed.
        mongodb_database: the target database.
        replication_file: path of `replication.yaml`, or None.
        pool_size: number of MongoDB connections.
        mongodb_client: the library that talks to MongoDB.
        status_host: address of the status page and the probes.
        status_port: their port; 0: any free one, which is logged.
        status_names: DNS names under which the status page is opened, lower case.
        log_level: one of `shared.settings.LOG_LEVELS`.
        cloudwatch_metrics: the metrics' dimension in CloudWatch (the queue's name); None: no metrics.
    """

    queue_url: str
    dead_letter_queue_url: str
    mongodb_uri: str = field(repr=False)
    mongodb_database: str
    replication_file: str | None
    pool_size: int
    mongodb_client: Library
    status_host: str
    status_port: int
    status_names: frozenset[str]
    log_level: str
    cloudwatch_metrics: str | None = None

    @property
    def loops(self) -> int:
        """Number of drain loops."""
        return LOOPS_PER_CONNECTION * self.pool_size

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Self:
        """Reads and checks all settings.

        Raises:
            FatalError: a setting is missing or wrong; the text names every mistake.
        """
        reader = Reader(environment)
        settings = cls(
            queue_url=reader.text("QUEUE_URL", "the URL of the FIFO queue"),
            dead_letter_queue_url=reader.text("DEAD_LETTER_QUEUE_URL", "the URL of its dead-letter queue"),
            mongodb_uri=reader.text("MONGODB_URI", "the connection string of the target"),
            mongodb_database=reader.text("MONGODB_DATABASE", "the name of the target database"),
            replication_file=reader.optional("REPLICATION_FILE"),
            pool_size=reader.integer("POOL_SIZE", 4, 1, MOST_CONNECTIONS),
            mongodb_client=_LIBRARIES[reader.choice("MONGODB_CLIENT", "MOTOR", list(_LIBRARIES))],
            status_host=reader.text("STATUS_HOST", "an address of this machine", default=_ALL_INTERFACES),
            status_port=reader.integer("STATUS_PORT", 8080, 0, 65535),
            status_names=_names(reader, "STATUS_NAMES"),
            log_level=reader.choice("LOG_LEVEL", "INFO", LOG_LEVELS),
            cloudwatch_metrics=reader.optional("CLOUDWATCH_METRICS"),
        )
        if settings.mongodb_database and (problem := database_problem(settings.mongodb_database)):
            reader.problem(f"MONGODB_DATABASE={settings.mongodb_database!r} {problem}")
        name = settings.cloudwatch_metrics or ""
        if len(name) > _LONGEST_NAME or not (name.isascii() and name.isprintable()):
            reader.problem(
                f"CLOUDWATCH_METRICS={name[:50]!r} cannot be the value of a dimension: "
                f"ASCII, at most {_LONGEST_NAME} characters"
            )
        reader.finish()
        return settings


def _names(reader: Reader, setting: str) -> frozenset[str]:
    """DNS names, separated by commas."""
    names = [name.strip().lower() for name in (reader.optional(setting) or "").split(",")]
    wrong = [name for name in names if name and not _NAME(name)]
    if wrong:
        reader.problem(f"{setting}: {wrong[0][:50]!r} is not a DNS name; a port does not belong to it")
    return frozenset(name for name in names if name)
