"""MongoDB for a smoke test: where the writers put the table's documents, and what is there. It only reads."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Any

from bson import decode

from ops.console.exit_status import CommandError
from ops.migration.store import Store
from shared.errors import FatalError, TransientError
from writer.mapping.model import Replication, TableRule
from writer.mapping.rules import Rules
from writer.mongodb.stored import CODEC
from writer.names import METADATA_FIELD

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from writer.mapping.rules import Table
    from writer.records import Found, MappingRecord

_CONNECTIONS = 2
_PLACES = {"database", "collection"}
_AS_IT_IS = {"key": ["id"]}
"""A rule that changes nothing for this table."""


def place_of(table: str, database: str, found: Found[MappingRecord]) -> tuple[str, str]:
    """Database and collection of the documents, by what the writers of the queue have recorded.

    Args:
        table: the name of the table.
        database: that of the settings.
        found: the records of the table; none: the writers take a table for the first time when it changes.

    Raises:
        CommandError: the writers do not take the table as it is.
    """
    if not found.records:
        return database, table
    newest = max(found.records, key=lambda each: each.started)
    rules = json.loads(newest.rules)
    others = sorted(name for name in rules.keys() - _PLACES if rules[name] != _AS_IT_IS.get(name))
    if others:
        raise CommandError(
            f"the writers' mapping has rules for the table {table} ({', '.join(others)}): a smoke-test table "
            f"must have none, such as {table}: {{}}. Nothing was written"
        )
    return str(rules.get("database") or database), str(rules.get("collection") or table)


class Target:
    """The collection that the writers fill from the table."""

    def __init__(self, store: Store, table: Table, queue: str) -> None:
        self._store = store
        self._table = table
        self._queue = queue

    @property
    def name(self) -> str:
        """Database and collection."""
        return f"{self._table.database}.{self._table.collection}"

    async def documents(self, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
        """The documents of some keys, without their metadata.

        Raises:
            TransientError, FatalError: MongoDB does not answer, or refuses it.
        """
        found = [decode(each.raw, CODEC) for each in await self._store.documents(self._table, keys)]
        for each in found:
            each.pop(METADATA_FIELD, None)
        return {each["_id"]: each for each in found}

    async def writers(self) -> int | None:
        """How many writers of the queue show a sign of life; None: it is not known."""
        try:
            now = await self._store.records.now()
            found = await self._store.records.writers()
        except (TransientError, FatalError):
            return None
        alive = sum(each.queue == self._queue and not each.is_late(now) for each in found.records)
        return alive if alive or not found.odd else None


@asynccontextmanager
async def open_target(uri: str, database: str, table: str, queue: str) -> AsyncIterator[Target]:
    """Opens MongoDB, and finds out where the documents go.

    Args:
        uri: a secret.
        database: that of the settings.
        table: the name of the table.
        queue: the URL of the queue that the writers drain.

    Raises:
        TransientError, FatalError: MongoDB cannot be used, or the writers do not take the table as it is.
    """
    with closing(Store.connect(uri, database, _CONNECTIONS)) as store:
        await store.reach()
        there, collection = place_of(table, database, await store.records.mappings(queue=queue, table=table))
        rule = TableRule(database=there, collection=collection)
        yield Target(store, Rules(Replication(tables={table: rule})).table(table), queue)
