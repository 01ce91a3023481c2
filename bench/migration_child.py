"""One way to copy or to compare a table, in a process of its own: prints its CPU time and its peak of memory.

    python -m bench.migration_child WAY ENDPOINT MONGODB_URI

Ways: `insert_many` and `scan` are the plain ones, with boto3 and PyMongo; `backfill` and `verify` are ours,
without the command line. Imports are not in the CPU time, and all of the process is in its memory.
"""

from __future__ import annotations

import asyncio
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Any

from bench.dynamodb_endpoint import TABLE
from bench.measure import process_cost

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from ops.migration.settings import Session

DATABASE = "bench"
_SEGMENTS = 4


def _pages(endpoint: str, segment: int) -> Iterator[list[dict[str, Any]]]:
    import boto3  # noqa: PLC0415 - not in the memory of the other ways

    client = boto3.session.Session().client("dynamodb", endpoint_url=endpoint)
    for page in client.get_paginator("scan").paginate(
        TableName=TABLE, Segment=segment, TotalSegments=_SEGMENTS
    ):
        yield page["Items"]


def _insert_many(endpoint: str, uri: str) -> Callable[[], None]:
    import pymongo  # noqa: PLC0415
    from boto3.dynamodb.types import TypeDeserializer  # noqa: PLC0415

    from writer.mapping.bson_values import decimal128  # noqa: PLC0415

    def number(value: Any) -> Any:
        return int(value) if value == value.to_integral_value() else decimal128(value)

    class Deserializer(TypeDeserializer):
        def _deserialize_n(self, value: str) -> Any:
            return number(super()._deserialize_n(value))  # type: ignore[misc]

    def copy(segment: int) -> None:
        deserialize = Deserializer().deserialize
        for items in _pages(endpoint, segment):
            documents = [{name: deserialize(value) for name, value in item.items()} for item in items]
            for document in documents:
                document["_id"] = document["id"]
            for start in range(0, len(documents), 1_000):
                collection.insert_many(documents[start : start + 1_000], ordered=False)

    collection = pymongo.MongoClient[dict[str, Any]](uri, maxPoolSize=_SEGMENTS)[DATABASE][TABLE]
    return lambda: _in_threads(copy)


def _scan(endpoint: str, _: str) -> Callable[[], None]:
    def read(segment: int) -> None:
        for _ in _pages(endpoint, segment):
            pass

    return lambda: _in_threads(read)


def _in_threads(part: Callable[[int], None]) -> None:
    with ThreadPoolExecutor(_SEGMENTS) as threads:
        list(threads.map(part, range(_SEGMENTS)))


@asynccontextmanager
async def _session(endpoint: str, uri: str) -> AsyncIterator[Session]:
    from ops.aws import Aws  # noqa: PLC0415
    from ops.migration.mapping import ComparedMapping, GivenMapping  # noqa: PLC0415
    from ops.migration.retry import Retry  # noqa: PLC0415
    from ops.migration.settings import Session  # noqa: PLC0415
    from ops.migration.source.pace import Pace  # noqa: PLC0415
    from ops.migration.source.table import Reader  # noqa: PLC0415
    from ops.migration.store import Store  # noqa: PLC0415
    from writer.mapping.fingerprint import fingerprint_of  # noqa: PLC0415
    from writer.mapping.rules import Rules  # noqa: PLC0415

    rules = Rules().table(TABLE)
    fingerprint = fingerprint_of(rules, DATABASE)
    given = GivenMapping(TABLE, "", is_none=True, fingerprint=fingerprint, namespace=f"{DATABASE}.{TABLE}")
    retry = Retry(lambda line: print(line, file=sys.stderr))  # noqa: T201
    with closing(Store.connect(uri, DATABASE, 8)) as store:
        async with Aws(endpoint).open_client("dynamodb") as client:
            reader = Reader(client, TABLE, Pace(), retry)
            await store.open()
            yield Session(rules, await reader.describe(), ComparedMapping(given, None), reader, store, retry)


def _backfill(endpoint: str, uri: str) -> Callable[[], None]:
    from datetime import UTC, datetime  # noqa: PLC0415

    from ops.migration.backfill.checkpoints import Checkpoint, Checkpoints, Part  # noqa: PLC0415
    from ops.migration.backfill.copier import Copier  # noqa: PLC0415
    from ops.migration.backfill.parts import table_parts  # noqa: PLC0415

    async def run() -> None:
        async with _session(endpoint, uri) as session:
            parts = table_parts(session, _SEGMENTS, consistent=False, page_size=0)
            checkpoints = Checkpoints(session.store, session.retry)
            begun = [Part(name) for name in parts.names]
            checkpoint = Checkpoint(TABLE, "", parts.origin, "", datetime.now(UTC), begun)
            await checkpoints.begin(checkpoint)
            await Copier(parts, session, checkpoints, None, lambda _: None).run(checkpoint)

    return lambda: asyncio.run(run())


def _verify(endpoint: str, uri: str) -> Callable[[], None]:
    from ops.migration.verify.verifier import Verifier  # noqa: PLC0415

    async def run() -> None:
        async with _session(endpoint, uri) as session:
            counts = await Verifier(session, _SEGMENTS, 0, lambda _: None, lambda _: None).everything()
        assert counts.items == counts.documents  # noqa: S101
        assert not counts.wrong  # noqa: S101

    return lambda: asyncio.run(run())


WAYS: Mapping[str, Callable[[str, str], Callable[[], None]]] = {
    "insert_many": _insert_many,
    "backfill": _backfill,
    "scan": _scan,
    "verify": _verify,
}


if __name__ == "__main__":
    chosen, *servers = sys.argv[1:]
    sys.stdout.write(json.dumps(process_cost(WAYS[chosen](*servers))) + "\n")
