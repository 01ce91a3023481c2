"""`replicate(items) -> documents`: puts items into a table, and returns what arrives in MongoDB."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymongo
from boto3.dynamodb.types import TypeSerializer
from pymongo.database import Database

from local.stack import Stack
from replicator_testing.pipeline import Item, Pipeline
from shared.attribute_values import encode_item
from shared.change import Change, Op
from shared.errors import FatalError
from writer.mapping.document import locate
from writer.mapping.hooks import load_hooks
from writer.mapping.model import Deletes
from writer.mapping.parser import parse_replication
from writer.mapping.rules import Rules, Table
from writer.mongodb.guard import tombstone_id
from writer.names import TOMBSTONES
from writer.write import Target

Document = dict[str, Any]
_serialize = TypeSerializer().serialize


class ParkedError(AssertionError):
    """A record went to the dead-letter queue instead of MongoDB; the message has its reason."""


class Pipelines:
    """The pipeline of the mapping that a test asked for last.

    There is one at a time, because a mapping determines the names of its tables.
    """

    def __init__(self, stack: Stack, package: Path, folder: Path) -> None:
        self._stack, self._package, self._folder = stack, package, folder
        self.running: Pipeline | None = None
        self._mapping = ""
        self._started = 0

    def get(self, mapping: str | Path) -> Pipeline:
        """The running pipeline of a mapping; a new one if the mapping is not that of the last call.

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
            # A mistake is easier to read here than in the log of a writer that ended.
            load_hooks(parse_replication(text, source))
            self.close()
            self._started += 1
            folder = self._folder / str(self._started)
            folder.mkdir()
            self.running = Pipeline.start(self._stack, folder, package=self._package, mapping=text)
            self._mapping = text
        return self.running

    def close(self) -> None:
        """Stops the running pipeline, and removes what it left."""
        pipeline, self.running = self.running, None
        if pipeline:
            with pipeline:
                pass


class Replicate:
    """The `replicate` fixture. After the test, it deletes the items that it put."""

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
    ) -> list[Document | None]:
        """Puts items into a DynamoDB table and returns their documents after they arrived in MongoDB.

        Args:
            items: Items as boto3's table resource takes them: str, int, Decimal, bytes, bool, None, list,
                dict, set.
            table: The table; created if it does not exist yet.
            mapping: The `replication.yaml` as path or text; by default every table is replicated as it is.
            key: Names of the key attributes; by default those of the mapping's `key` for the table.

        Returns:
            The documents in the order of the items, without the metadata field; None for an item that a hook
            drops.

        Raises:
            ParkedError: A record was parked.
            FatalError: The mapping is wrong.
            TypeError, ValueError: Neither the mapping nor `key` names the table's key, or an item is none.
        """
        __tracebackhide__ = True  # pytest: what is wrong is in the test, not here
        try:
            return self._replicate(items, table, mapping, key)
        except (ParkedError, FatalError, TypeError, ValueError) as error:
            raise error.with_traceback(None) from None

    def _replicate(
        self, items: Sequence[Mapping[str, Any]], table: str, mapping: str | Path, key: Sequence[str]
    ) -> list[Document | None]:
        pipeline = self._pipelines.get(mapping)
        replication = parse_replication(pipeline.replication_file.read_text(), "mapping")
        rules = Rules(replication, load_hooks(replication), pipeline.database).table(table)
        names = tuple(key) or rules.rule.key
        if not names:
            raise ValueError(f"the key of {table} is not known: name it in the mapping, or give key=[...]")
        raw = [_in_dynamodb(number, item, names) for number, item in enumerate(items, start=1)]
        if not raw:
            raise ValueError("there is no item to replicate")
        targets = [locate(rules, _as_change(table, item, names)) for item in raw]
        ids = [target.document_id for target in targets]
        if any(each in ids[:position] for position, each in enumerate(ids)):
            raise ValueError("two items have the same key: replicate them one after the other")
        if table not in pipeline.tables:
            pipeline.create_table(table, **{name: next(iter(raw[0][name])) for name in names})
        dynamodb = pipeline.stack.client("dynamodb")
        with pymongo.MongoClient[Document](pipeline.stack.mongodb_uri, tz_aware=True) as client:
            documents = [_Replica(client[rules.database or pipeline.database], target) for target in targets]
            versions = [document.version() for document in documents]
            for position, item in enumerate(raw):
                before = dynamodb.put_item(TableName=table, Item=item, ReturnValues="ALL_OLD")
                if before.get("Attributes") == item:
                    versions[position] = ""  # no stream record: the document that exists is the result
                item_key = {name: item[name] for name in names}
                self._put.append(_Put(pipeline, rules, item_key, targets[position]))

            def arrived() -> bool:
                if letters := pipeline.dead_letters():
                    raise ParkedError(
                        "\n".join(f"{each.get('code')}: {each.get('reason')}" for each in letters)
                    )
                now = [document.version() for document in documents]
                return all(new > old for new, old in zip(now, versions, strict=True))

            pipeline.wait_until(arrived, bool)
            return [document.content() for document in documents]

    def clean_up(self) -> None:
        """Deletes the items, and waits until their documents are gone, whatever the mapping says."""
        deleted = [each for each in self._put if each.pipeline is self._pipelines.running]
        for each in deleted:
            dynamodb = each.pipeline.stack.client("dynamodb")
            dynamodb.delete_item(TableName=each.rules.name, Key=each.key)
        for each in deleted:
            each.delete_document()


@dataclass(frozen=True)
class _Replica:
    """The place of one document in MongoDB."""

    database: Database[Document]
    target: Target

    def find(self) -> Document | None:
        return self.database[self.target.collection].find_one({"_id": self.target.document_id})

    def version(self) -> str:
        """Its version, or that of its tombstone; if there is neither, an empty text, which sorts first.

        A tombstone is written before the document is removed, so it does not count while the document exists.
        """
        if document := self.find():
            return str(document[self.target.metadata_field]["v"])
        tombstone = self.database[TOMBSTONES].find_one({"_id": tombstone_id(self.target)}) or {}
        return str(tombstone.get("v", ""))

    def content(self) -> Document | None:
        """The document without its metadata field; None if it does not exist."""
        document = self.find()
        if document is not None:
            del document[self.target.metadata_field]
        return document


@dataclass(frozen=True)
class _Put:
    """An item that a test put."""

    pipeline: Pipeline
    rules: Table
    key: Item
    target: Target

    def delete_document(self) -> None:
        """Waits until replication has removed the document, or removes it if the mapping keeps it."""
        with pymongo.MongoClient[Document](self.pipeline.stack.mongodb_uri) as client:
            document = _Replica(client[self.rules.database or self.pipeline.database], self.target)
            if self.rules.rule.deletes is Deletes.DELETE:
                self.pipeline.wait_until(document.find, lambda found: found is None)
                return
            if self.rules.rule.deletes is Deletes.MARK:
                self.pipeline.wait_until(
                    document.find,
                    lambda found: found is None or "deleted" in found[self.target.metadata_field],
                )
            document.database[self.target.collection].delete_one({"_id": self.target.document_id})


def _in_dynamodb(number: int, item: Mapping[str, Any], key: Sequence[str]) -> Item:
    """An item in DynamoDB's notation.

    Raises:
        TypeError, ValueError: It cannot be one; the sentence says why.
    """
    if not isinstance(item, Mapping):
        raise TypeError(f"item {number} is a {type(item).__name__}; give a list of dicts")
    for name in key:
        if name not in item:
            raise ValueError(f"item {number} has no attribute {name!r}, which belongs to the table's key")
    found = {}
    for name, value in item.items():
        try:
            found[name] = _serialize(value)
        except TypeError as error:
            raise ValueError(f"item {number}, attribute {name!r}: {error}") from error
    return found


def _as_change(table: str, item: Item, names: Sequence[str]) -> Change:
    """A change with the item's key, by which `locate` finds its document."""
    key, tagged = encode_item({name: item[name] for name in names})
    return Change(
        table=table, stream="", sequence="", op=Op.DELETE, key=key, at=0, event_id="", tagged=tagged
    )
