"""Both sides of a migration, opened without the command line."""

from __future__ import annotations

from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING

from ops.aws import Aws
from ops.migration.mapping import ComparedMapping, GivenMapping
from ops.migration.retry import Retry
from ops.migration.settings import Session
from ops.migration.source.pace import Pace
from ops.migration.source.table import Reader
from ops.migration.store import Store
from ops.migration.verify.verifier import Verifier
from writer.mapping.fingerprint import fingerprint_of
from writer.mapping.parser import parse_replication
from writer.mapping.rules import Rules

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from local.stack import Stack
    from ops.migration.verify.verifier import Counts, Finding


def create_table(stack: Stack, name: str, **key: str) -> None:
    """Creates a table without a stream: name of each key attribute → its type, partition key first."""
    kinds = zip(key, ("HASH", "RANGE"), strict=False)
    stack.client("dynamodb").create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": each, "AttributeType": kind} for each, kind in key.items()],  # type: ignore[typeddict-item]
        KeySchema=[{"AttributeName": each, "KeyType": kind} for each, kind in kinds],  # type: ignore[typeddict-item]
        BillingMode="PAY_PER_REQUEST",
    )


@asynccontextmanager
async def session_on(stack: Stack, database: str, table: str, rule: str = "{}") -> AsyncIterator[Session]:
    """A session of a table with one rule; what it says is nobody's business."""
    rules = Rules(parse_replication(f"tables: {{{table}: {rule}}}", "r.yaml")).table(table)
    said: list[str] = []
    retry = Retry(said.append)
    fingerprint = fingerprint_of(rules, database)
    given = GivenMapping(table, "", is_none=True, fingerprint=fingerprint, namespace=f"{database}.{table}")
    mapping = ComparedMapping(given, None)
    with closing(Store.connect(stack.mongodb_uri, database, 4)) as store:
        async with Aws().open_client("dynamodb") as client:
            reader = Reader(client, table, Pace(), retry)
            await store.open()
            yield Session(rules, await reader.describe(), mapping, reader, store, retry)


async def compare(session: Session) -> tuple[list[Finding], Counts]:
    """All that a comparison finds."""
    found: list[Finding] = []
    counts = await Verifier(session, 1, 0, found.append, lambda _: None).everything()
    return found, counts


def by_kind(found: list[Finding]) -> Mapping[str, int]:
    """How many of each kind."""
    kinds = [finding.kind for finding in found]
    return {str(kind): kinds.count(kind) for kind in kinds}
