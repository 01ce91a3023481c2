"""What a person can do while a run goes on: sections with commands that work as they are printed. Pure.

No line of a command is longer than a terminal of 80 columns shows, if the names in it are not: it is broken
where the shell goes on reading.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

DATABASE = "replicator"


@dataclass(frozen=True)
class Running:
    """What runs.

    Attributes:
        endpoint_url: The emulator's.
        access_key: Its access key and secret key.
        status_url: Root URL of the writer's status page.
        mongodb_uri: None where it holds a password, which is never printed.
        stack_name: The name of the CloudFormation stack; empty: `replicator follow` runs.
        replication_file: The mapping, as a shell in the checkout names it.
        programs: Folder of the programs, likewise.
        table: The table of the commands.
        place: Database and collection of its documents.
        item: An item for it: AttributeValues, none of them binary.
        has_aws: Whether the AWS CLI is there.
    """

    endpoint_url: str
    region: str
    access_key: str
    status_url: str
    mongodb_uri: str | None
    stack_name: str
    replication_file: str
    programs: str
    table: str
    place: tuple[str, str]
    item: Mapping[str, Any]
    has_aws: bool


@dataclass(frozen=True)
class Section:
    """A sentence, and commands for it in their order."""

    title: str
    commands: Sequence[str] = ()


def next_steps(running: Running) -> list[Section]:
    """What to do next: look, ask, make a dead letter and redrive it, stop."""
    place = () if running.stack_name else ("--mongodb",)
    return [
        Section(f"The status page is at {running.status_url}/"),
        Section(
            f"Check {'the pipeline, and ' if running.stack_name else ''}that both sides are equal, from a "
            "second terminal in this folder"
            f"{'' if running.mongodb_uri else ', with MONGODB_URI set as in this one'}:",
            [
                *_exports(running),
                *([_replicator(running, "status")] if running.stack_name else []),
                _replicator(running, "verify", running.table),
            ],
        ),
        Section(
            "Make a dead letter: have MongoDB refuse documents with a field `refused`, and put such an item"
            f"{' (AWS CLI 1 or 2)' if running.has_aws else ''}:",
            [
                _validator(running, '{"refused": {"$exists": False}}'),
                _put(running),
                _replicator(running, "dlq", "list", *place),
            ],
        ),
        Section(
            "Redrive it, after removing the cause:",
            [_validator(running, "{}"), _replicator(running, "dlq", "redrive", "--all", *place)],
        ),
        Section("Stop: Ctrl-C. Everything that was started here ends, and its data is removed."),
    ]


def _exports(running: Running) -> list[str]:
    key = running.access_key
    mongodb_uri = [f"export MONGODB_URI='{running.mongodb_uri}'"] if running.mongodb_uri else []
    pipeline = [
        f"export REPLICATOR_STACK={running.stack_name}",
        f"export REPLICATOR_WRITERS={running.status_url}",
    ]
    return [
        f"export AWS_ACCESS_KEY_ID={key} AWS_SECRET_ACCESS_KEY={key}",
        f"export AWS_DEFAULT_REGION={running.region}",
        f"export AWS_ENDPOINT_URL={running.endpoint_url}",
        *(pipeline if running.stack_name else []),
        f"export REPLICATION_FILE={running.replication_file}",
        *mongodb_uri,
        f"export MONGODB_DATABASE={DATABASE}",
    ]


def _replicator(running: Running, *words: str) -> str:
    return " ".join([f"{running.programs}/replicator", *words])


def _validator(running: Running, validator: str) -> str:
    database, collection = running.place
    return (
        f"{running.programs}/python -c 'import os, pymongo\n"
        'client = pymongo.MongoClient(os.environ["MONGODB_URI"])\n'
        f'client["{database}"].command("collMod", "{collection}",\n'
        f"  validator={validator})'"
    )


def _put(running: Running) -> str:
    values = {**running.item, "refused": {"S": "yes"}}.items()
    pairs = (f"{json.dumps(name, ensure_ascii=False)}: {json.dumps(value)}" for name, value in values)
    item = "{" + ",\n    ".join(pairs) + "}"
    if running.has_aws:
        return (
            f"aws dynamodb put-item --endpoint-url {running.endpoint_url} \\\n"
            f"  --table-name {running.table} \\\n"
            f"  --item '{item}'"
        )
    return (
        f"{running.programs}/python -c 'import boto3\n"
        'boto3.client("dynamodb").put_item(\n'
        f'  TableName="{running.table}",\n'
        f"  Item={item})'"
    )
