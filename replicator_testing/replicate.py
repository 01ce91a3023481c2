"""`replicate(items) -> documents`: put items into a table, and return what arrives in MongoDB."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pymongo
from boto3.dynamodb.types import TypeSerializer

from replicator_testing.pipeline import METADATA_FIELD, Item, Pipeline
from shared.attribute_values import encode_item
from shared.change import Change, Op
from writer.mapping import locate, parse_replication

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from local.stack import Stack

Document = dict[str, Any]
_serialize = TypeSerializer().serialize


class ParkedError(AssertionError):
    """A record went to the dead-letter queue instead of MongoDB; the message has its reason."""


class Pipelines:
    """The pipeline of the mapping that was asked for last.

    One at a time, because the tables of a mapping have the names that it gives them.
    """

    def __init__(self, stack: Stack, package: Path, folder: Path) -> None:
        """Starts nothing yet.

        Args:
            stack: Where.
            package: The Lambda's package.
            folder: Existing folder for mappings and logs.
        """
        self._stack, self._package, self._folder = stack, package, folder
        self.running: Pipeline | None = None
        self._mapping = ""
        self._started = 0

    def get(self, mapping: str | Path) -> Pipeline:
        """The running pipeline of a mapping, started if it is another than before.

        Args:
            mapping: The text of a `replication.yaml`, or its path.

        Raises:
            FatalError: The mapping is wrong; the message names every mistake.
            StackError: The pipeline cannot be started.
        """
        text, source = (
            (mapping.read_text(), mapping.name) if isinstance(mapping, Path) else (mapping, "mapping")
        )
        if self.running is None or text != self._mapping:
            parse_replication(text, source)  # its mistakes are better told here than by a writer that ends
            self.close()
            self._started += 1
            folder = self._folder / str(self._started)
            folder.mkdir()
            self.running = Pipeline.start(self._stack, folder, package=self._package, mapping=text)
            self._mapping = text
        return self.running

    def close(self) -> None:
        """Undo the running one."""
        pipeline, self.running = self.running, None
        if pipeline:
            with pipeline:
                pass


class Replicate:
    """The `replicate` fixture. What it put into tables is deleted from them after the test."""

    def __init__(self, pipelines: Pipelines) -> None:
        self._pipelines = pipelines
        self._put: list[_Put] = []

    def __call__(
        self,
        items: Sequence[Mapping[str, Any]],
        *,
        table: str,
        mapping: str | Path = "",
        key: Sequence[str] = (),
    ) -> list[Document]:
        """Puts items into a DynamoDB table and returns their documents when they have arrived in MongoDB.

        Args:
            items: Items as boto3's table resource takes them: str, int, Decimal, bytes, bool, None, list,
                dict, set.
            table: The table; made if it is not there yet.
            mapping: The `replication.yaml` as path or text; by default every table is replicated as it is.
            key: Names of the key attributes; by default those of the mapping's `key` for the table.

        Returns:
            The documents in the order of the items, without the metadata field.

        Raises:
            ParkedError: A record was parked.
            FatalError: The mapping is wrong.
            ValueError: Neither the mapping nor `key` names the table's key.
        """
        pipeline = self._pipelines.get(mapping)
        replication = parse_replication(pipeline.replication_file.read_text(), "mapping")
        names = tuple(key) or replication.rule(table).key
        if not names:
            raise ValueError(f"the key of {table} is not known: name it in the mapping, or give key=[...]")
        raw: list[Item] = [{name: _serialize(value) for name, value in item.items()} for item in items]
        ids = [locate(replication, _as_change(table, item, names)).document_id for item in raw]
        if any(each in ids[:position] for position, each in enumerate(ids)):
            raise ValueError("two items have the same key: replicate them one after the other")
        if not pipeline.has_table(table):
            pipeline.create_table(table, **{name: next(iter(raw[0][name])) for name in names})
        with pymongo.MongoClient[Document](pipeline.stack.mongodb_uri, tz_aware=True) as client:
            collection = client[pipeline.database][replication.collection(table)]
            versions = [_version(collection.find_one({"_id": each})) for each in ids]
            for position, item in enumerate(raw):
                if _put(pipeline, table, item) == item:
                    versions[position] = ""  # no stream record: what is there already is what arrives
                item_key = {name: item[name] for name in names}
                self._put.append(_Put(pipeline, table, item_key, collection.name, ids[position]))

            def arrived() -> bool:
                if letters := pipeline.dead_letters():
                    raise ParkedError(
                        "\n".join(f"{each.get('code')}: {each.get('reason')}" for each in letters)
                    )
                now = [_version(collection.find_one({"_id": each})) for each in ids]
                return all(new > old for new, old in zip(now, versions, strict=True))

            pipeline.wait_until(arrived, bool)
            documents = [collection.find_one({"_id": each}) or {} for each in ids]
        return [{name: value for name, value in each.items() if name != METADATA_FIELD} for each in documents]

    def clean_up(self) -> None:
        """Deletes the items again, and waits until their documents are gone."""
        deleted = [each for each in self._put if each.pipeline is self._pipelines.running]
        for each in deleted:
            each.pipeline.stack.client("dynamodb").delete_item(TableName=each.table, Key=each.key)
        for each in deleted:
            each.pipeline.wait_until(each.documents, lambda number: number == 0)


@dataclass(frozen=True)
class _Put:
    """An item that is there because of a test."""

    pipeline: Pipeline
    table: str
    key: Item
    collection: str
    document_id: Any

    def documents(self) -> int:
        """How many documents stand for it."""
        with pymongo.MongoClient[Document](self.pipeline.stack.mongodb_uri) as client:
            collection = client[self.pipeline.database][self.collection]
            return collection.count_documents({"_id": self.document_id})


def _put(pipeline: Pipeline, table: str, item: Item) -> Item | None:
    """Puts an item and returns the one that was there."""
    answer = pipeline.stack.client("dynamodb").put_item(TableName=table, Item=item, ReturnValues="ALL_OLD")
    return answer.get("Attributes")


def _version(document: Document | None) -> str:
    """The version of a document; an empty text, which sorts before all, if there is none."""
    return str(document[METADATA_FIELD]["v"]) if document else ""


def _as_change(table: str, item: Item, names: Sequence[str]) -> Change:
    """A change with the item's key, to find its document by."""
    key, tagged = encode_item({name: item[name] for name in names})
    return Change(
        table=table, stream="", sequence="", op=Op.DELETE, key=key, at=0, event_id="", tagged=tagged
    )
