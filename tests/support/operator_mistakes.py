"""The table of operator mistakes: commands, what their sentences have to name, and what helps."""

from __future__ import annotations

from dataclasses import dataclass, field

_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")


@dataclass(frozen=True)
class Row:
    """A mistake.

    Attributes:
        says: what the sentence has to name.
        arguments: of the command; `{name}` stands for a part of the world.
        then: the arguments after the advice was followed; None: the same.
        status: the exit status.
        without, env: variables that are missing or set, with the mistake only.
        findings: the sentence is one of the doctor's findings, or on standard output.
    """

    says: tuple[str, ...]
    arguments: str
    then: str | None = None
    status: int = 2
    without: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    findings: bool = False


PARTS = "--queue-url {queue} --dead-letter-queue-url {dead}"
MONGO = "--mongodb-uri {mongodb} --mongodb-database {database}"
WITHOUT = f"verify {{table}} {MONGO} --sample 1"
MIGRATION = f"{WITHOUT} --no-mapping"
DOCTOR = f"doctor --json {PARTS} {MONGO}"

ROWS = {
    # AWS
    "no region": Row(
        ("AWS_REGION", "--region"), f"status {PARTS}", f"status {PARTS} --region us-east-1", without=_REGIONS
    ),
    "no region for init": Row(
        ("AWS_REGION", "--region"), "init {table}", "init {table} --region us-east-1", without=_REGIONS
    ),
    "no region for verify": Row(
        ("AWS_REGION", "--region"), MIGRATION, f"{MIGRATION} --region us-east-1", without=_REGIONS
    ),
    "no credentials": Row(("credentials", "AWS_PROFILE"), f"status {PARTS}", without=_KEYS),
    "no credentials for init": Row(("credentials", "AWS_PROFILE"), "init {table}", without=_KEYS),
    "no credentials for the doctor": Row(
        ("credentials", "AWS_PROFILE"), "doctor --json", status=1, without=_KEYS, findings=True
    ),
    "unknown profile": Row(("nobody", "AWS_PROFILE"), f"status {PARTS}", env={"AWS_PROFILE": "nobody"}),
    "endpoint that is no URL": Row(
        ("AWS_ENDPOINT_URL", "emulator"), f"status {PARTS}", env={"AWS_ENDPOINT_URL": "emulator"}
    ),
    "endpoint where nothing listens for verify": Row(
        ("http://127.0.0.1:9", "AWS_ENDPOINT_URL"), MIGRATION, env={"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    ),
    "region that is none": Row(
        ("eu_west", "--region"), f"status {PARTS} --region eu_west", f"status {PARTS} --region us-east-1"
    ),
    "replica set of another name": Row(
        ("replica set nope", "replicaSet"),
        "verify {table} --mongodb-database {database} --mongodb-uri mongodb://{mongodb_host}/?replicaSet=nope",
        MIGRATION,
    ),
    "endpoint where nothing listens": Row(
        ("http://127.0.0.1:9", "AWS_ENDPOINT_URL"),
        f"status {PARTS}",
        env={"AWS_ENDPOINT_URL": "http://127.0.0.1:9"},
    ),
    # the pipeline
    "wrong stack": Row(
        ("no CloudFormation stack nope", "region"), "status --stack nope", "status --stack {stack}"
    ),
    "stack of something else": Row(
        ("QueueUrl", "deploy/pipeline.yaml"), "status --stack {other_stack}", "status --stack {stack}"
    ),
    "wrong stack for the doctor": Row(
        ("no CloudFormation stack nope", "--stack"),
        "doctor --json --stack nope",
        "doctor --json --stack {stack}",
        status=1,
        findings=True,
    ),
    "no pipeline": Row(("--stack", "QUEUE_URL"), "status", f"status {PARTS}"),
    "no pipeline for peek": Row(("--stack", "QUEUE_URL"), "peek", "peek --queue-url {queue}"),
    "no pipeline for dlq": Row(
        ("--stack", "DEAD_LETTER_QUEUE_URL"), "dlq list", "dlq list --dead-letter-queue-url {dead}"
    ),
    "no dead-letter queue": Row(
        ("--stack", "DEAD_LETTER_QUEUE_URL"), "status --queue-url {queue}", f"status {PARTS}"
    ),
    "queue that does not exist": Row(
        ("no such queue", "URL"), "peek --queue-url {queue}x", "peek --queue-url {queue}"
    ),
    "queue that does not exist for the doctor": Row(
        ("does not exist", "region"),
        "doctor --json --queue-url {queue}x",
        "doctor --json --queue-url {queue}",
        status=1,
        findings=True,
    ),
    "standard queue": Row(
        ("standard queue", "--stack"),
        "doctor --json --queue-url {standard}",
        "doctor --json --queue-url {queue}",
        status=1,
        findings=True,
    ),
    "standard dead-letter queue": Row(
        ("dead-letter queue is a standard queue",),
        "doctor --json --dead-letter-queue-url {standard}",
        "doctor --json --dead-letter-queue-url {dead}",
        status=1,
        findings=True,
    ),
    "another dead-letter queue": Row(
        ("not the dead-letter queue", "deadLetterTargetArn"),
        "doctor --json --queue-url {queue} --dead-letter-queue-url {queue}",
        f"doctor --json {PARTS}",
        status=1,
        findings=True,
    ),
    "function that does not exist": Row(
        ("function nope", "does not exist"),
        "doctor --json --function nope",
        "doctor --json",
        status=1,
        findings=True,
    ),
    "no log groups": Row(("--stack", "--group"), "logs", "logs --group {group}"),
    "writer without http": Row(
        ("http://",), f"status {PARTS} --writer 10.0.0.5:8080", f"status {PARTS}", status=1, findings=True
    ),
    # tables
    "table that does not exist": Row(("nope", "region"), "init nope", "init {table}"),
    "pattern that fits nothing": Row(("nope-*", "region"), "init nope-*", "init {table}*"),
    "pattern with a star inside": Row(("*", "end"), "init no*pe", "init {table}*"),
    "table that does not exist for verify": Row(
        ("table 'nope'", "AWS_REGION", "AWS_PROFILE"), f"verify nope {MONGO} --no-mapping", MIGRATION
    ),
    "pattern for one table": Row(
        ("my*", "one table"),
        f"plan-cutover my* {MONGO} --no-mapping",
        f"backfill {{table}} {MONGO} --no-mapping --no-live",
    ),
    "function that does not exist for logs": Row(
        ("function nope", "us-east-1", "--region"), "logs --function nope", "logs --group {group}"
    ),
    "no table": Row(("TABLE",), "init", "init {table}"),
    "no stream": Row(
        ("no stream", "aws dynamodb update-table"),
        f"backfill {{still}} {MONGO} --no-mapping",
        f"backfill {{table}} {MONGO} --no-mapping",
        status=3,
    ),
    "no Lambda": Row(
        ("no Lambda reads", "deploy/pipeline.yaml"),
        f"backfill {{table}} {MONGO} --no-mapping",
        f"backfill {{table}} {MONGO} --no-mapping --no-live",
        status=3,
    ),
    # MongoDB
    "no connection string": Row(("MONGODB_URI",), "verify {table} --mongodb-database {database}", MIGRATION),
    "no database": Row(("MONGODB_DATABASE",), "verify {table} --mongodb-uri {mongodb}", MIGRATION),
    "database of MongoDB": Row(
        ("admin", "--mongodb-database"),
        "verify {table} --mongodb-uri {mongodb} --mongodb-database admin",
        MIGRATION,
    ),
    "database with a space": Row(
        ("'a b'", "--mongodb-database"),
        "verify {table} --mongodb-uri {mongodb} --mongodb-database 'a b'",
        MIGRATION,
    ),
    "connection string without a scheme": Row(
        ("mongodb://",),
        "verify {table} --mongodb-uri {mongodb_host} --mongodb-database {database}",
        MIGRATION,
    ),
    "connection string with an unknown option": Row(
        ("MONGODB_URI", "tsl", "tls?"),
        "verify {table} --mongodb-uri {mongodb}&tsl=true --mongodb-database {database}",
        MIGRATION,
    ),
    "certificate that is not there": Row(
        ("tlsCAFile", "PEM"),
        "verify {table} --mongodb-uri {mongodb}&tls=true&tlsCAFile=/nope.pem --mongodb-database {database}",
        MIGRATION,
    ),
    "host where nothing listens": Row(
        ("127.0.0.1:9", "firewall"),
        "doctor --json --mongodb-uri mongodb://127.0.0.1:9/ --mongodb-database {database}",
        f"doctor --json {MONGO}",
        status=1,
        findings=True,
    ),
    "host where nothing listens for status": Row(
        ("MongoDB at 127.0.0.1:9 does not answer",),
        f"status {PARTS} --mongodb-uri mongodb://127.0.0.1:9/ --mongodb-database {{database}}",
        f"status {PARTS} {MONGO}",
        status=3,
        findings=True,
    ),
    "wrong password": Row(
        ("login", "password", "authSource"),
        "doctor --json --mongodb-uri {wrong_password} --mongodb-database {database}",
        "doctor --json --mongodb-uri {right_password} --mongodb-database {database}",
        status=1,
        findings=True,
    ),
    "wrong password for verify": Row(
        ("MONGODB_URI",),
        "verify {table} --mongodb-uri {wrong_password} --mongodb-database {database}",
        "verify {table} --mongodb-uri {right_password} --mongodb-database {database}",
    ),
    "no rights": Row(
        ("readWrite", "{database}"),
        "doctor --json --mongodb-uri {no_rights} --mongodb-database {database}",
        "doctor --json --mongodb-uri {right_password} --mongodb-database {database}",
        status=1,
        findings=True,
    ),
    "no rights for verify": Row(
        ("readWrite",),
        "verify {table} --mongodb-uri {no_rights} --mongodb-database {database}",
        "verify {table} --mongodb-uri {right_password} --mongodb-database {database}",
    ),
    "typo in the database": Row(
        ("{database}", "MONGODB_DATABASE"),
        "doctor --json --mongodb-uri {mongodb} --mongodb-database {database}x",
        f"doctor --json {MONGO}",
        status=3,
        findings=True,
    ),
    # the mapping
    "mapping that is not there": Row(
        ("nope.yaml",),
        f"{WITHOUT} --replication-file nope.yaml",
        f"{WITHOUT} --replication-file {{mapping}}",
    ),
    "directory for a mapping": Row(
        ("directory",),
        f"{WITHOUT} --replication-file {{folder}}",
        f"{WITHOUT} --replication-file {{mapping}}",
    ),
    "directory for the doctor": Row(
        ("directory", "REPLICATION_FILE"),
        "doctor --json --replication-file {folder}",
        "doctor --json --replication-file {mapping}",
        status=1,
        findings=True,
    ),
    "directory for check-config": Row(("directory",), "check-config {folder}", "check-config {mapping}"),
    "broken YAML": Row(
        ("YAML", "4"), "check-config {broken}", "check-config {mapping}", status=1, findings=True
    ),
    "unknown setting": Row(
        ("collections", "collection"),
        "check-config {unknown_key}",
        "check-config {mapping}",
        status=1,
        findings=True,
    ),
    "unknown conversion": Row(
        ("epoch_seconds",), "check-config {unknown_value}", "check-config {mapping}", status=1, findings=True
    ),
    "mapping in another encoding": Row(
        ("UTF-8",),
        "doctor --json --replication-file {latin}",
        "doctor --json --replication-file {mapping}",
        status=1,
        findings=True,
    ),
    "two tables in one collection": Row(
        ("'a'", "'b'", "of its own"),
        "check-config {shared}",
        "check-config {mapping}",
        status=1,
        findings=True,
    ),
    "hook that is not there": Row(
        ("no_such_module",), "check-config {no_hook}", "check-config {mapping}", status=1, findings=True
    ),
    "unknown setting for verify": Row(
        ("collections", "collection"),
        f"{WITHOUT} --replication-file {{unknown_key}}",
        f"{WITHOUT} --replication-file {{mapping}}",
    ),
    "sample that is no JSON": Row(
        ("JSON",), "check-config {mapping} --sample {broken}", "check-config {mapping}"
    ),
    "sample that is not there": Row(
        ("nope.json",), "check-config {mapping} --sample nope.json", "check-config {mapping}"
    ),
    "no mapping": Row(("--replication-file", "--no-mapping"), WITHOUT, MIGRATION),
    "database that does not exist": Row(
        ("{database}x", "--mongodb-database"),
        "verify {table} --mongodb-uri {mongodb} --mongodb-database {database}x --no-mapping",
        MIGRATION,
    ),
    # what is typed
    "unknown command": Row(("statu",), "statu", f"status {PARTS}"),
    "unknown option": Row(("--stac",), "status --stac replicator", f"status {PARTS}"),
    "no number": Row(
        ("--max-behind",), f"status {PARTS} --max-behind soon", f"status {PARTS} --max-behind 60"
    ),
    "no time": Row(("15m",), "logs --group {group} --since yesterday", "logs --group {group} --since 15m"),
    "watching in a pipe": Row(("--json", "terminal"), f"status {PARTS} --watch", f"status {PARTS}"),
    "file that exists": Row(("--force",), "init {table} --output {mapping}", "init {table} --output {new}"),
    "directory to write to": Row(
        ("--output", "directory"), "init {table} --output {folder}", "init {table} --output {newer}"
    ),
}
