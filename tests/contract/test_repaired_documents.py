"""What a change that is delivered late does to a document that was repaired, and that `verify` tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ops.migration.repair.repairer import Repairer, Result
from ops.migration.verify.lookup import Lookup
from tests.support.builders import put, write
from tests.support.migrations import by_kind, compare, create_table, session_on

if TYPE_CHECKING:
    import pymongo

    from local.stack import Stack
    from ops.migration.settings import Session
    from ops.migration.verify.verifier import Finding
    from tests.support.sinks import Document

pytestmark = pytest.mark.usefixtures("aws_environment")


async def repair(session: Session, found: list[Finding]) -> set[Result]:
    did = await Repairer(session, Lookup(session), dry_run=False).repair(found)
    return {each.result for each in did}


async def test_a_late_change_undoes_a_repair_once(
    stack: Stack, mongodb: pymongo.MongoClient[Document], database: str, unique: str
) -> None:
    """Of five changes the second arrived; the item is as the fifth made it. Then the third comes late."""
    create_table(stack, unique, id="N")
    dynamodb = stack.client("dynamodb")
    dynamodb.put_item(TableName=unique, Item={"id": {"N": "1"}, "n": {"N": "5"}})
    collection = mongodb[database]["items"]
    async with session_on(stack, database, unique, "{collection: items}") as session:

        async def deliver(number: int) -> None:
            await session.store.apply([write(put(number, 1, n=number))])

        await deliver(2)
        found, counts = await compare(session)
        assert (by_kind(found), counts.repaired) == ({"different": 1}, 0)
        assert await repair(session, found) == {Result.REPAIRED}
        await deliver(2)
        found, counts = await compare(session)
        assert (found, counts.repaired) == ([], 1)

        await deliver(3)
        found, counts = await compare(session)
        assert (by_kind(found), counts.repaired) == ({"different": 1}, 0)
        assert collection.find_one()["n"] == 3  # type: ignore[index]
        assert await repair(session, found) == {Result.REPAIRED}
        await deliver(5)
        found, counts = await compare(session)
        assert (found, counts.repaired) == ([], 0)
        await deliver(4)
        assert collection.find_one()["n"] == 5  # type: ignore[index]
    dynamodb.delete_table(TableName=unique)
