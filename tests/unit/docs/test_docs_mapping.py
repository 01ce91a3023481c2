"""docs/mapping.md: its examples are run, in order, and give what the page says.

A `yaml` block is a mapping and begins anew. The blocks after it are what happens (`json item [table]`,
`json application`, `json delete`, `json expire`), or what there is then (`json document [place]`,
`json filter`, `text outcome`, `text refused`). A `python` block is a module, `OLD_IMAGE_FIELDS=…` a setting
of the Lambda.
"""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any

import pytest

from local.paths import ROOT
from ops.config.sample import VERSION, change_of
from ops.config.summary import as_json
from shared.change import Change, Op
from shared.errors import PoisonError
from tests.support.fake_sink import FakeSink
from writer.mapping.conversions import Conversion
from writer.mapping.document import locate
from writer.mapping.hooks import load_hooks
from writer.mapping.model import FieldRule, TableRule
from writer.mapping.parser import parse_replication
from writer.mapping.problems import MappingError
from writer.mapping.rules import Rules
from writer.mongodb.guard import document_filter
from writer.planning.fold import Candidates, fold

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from writer.write import Write

PAGE = (ROOT / "docs" / "mapping.md").read_text()
BLOCK = re.compile(r"^```(\w+)(?: ([^\n]+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\| (?:`(\w+)` )?\| `(\{.*?\})` \| (.*) \|$", re.MULTILINE)
AT = 1588166542000
RESULTS = frozenset({"document", "filter", "outcome", "refused"})

Example = list[tuple[str, str]]


def examples() -> Iterator[tuple[int, Example]]:
    """The mappings of the page, each with its line and what follows it: pairs of a kind and a text."""
    before: Example = []
    found: Example = []
    line = 0
    for match in BLOCK.finditer(PAGE):
        language, info, text = match.groups()
        if language == "python" or text.startswith("OLD_IMAGE_FIELDS="):
            before.append((f"{language} {info}", text))
        elif language == "yaml":
            if found:
                yield line, found
            line = PAGE.count("\n", 0, match.start()) + 1
            found, before = [*before, ("yaml", text)], []
        elif language != "sh":
            assert info is not None, f"a {language} block without a kind"
            found.append((info, text))
    yield line, found


class World:
    """One mapping, and the collections under it."""

    def __init__(self, rules: Rules, old_image_fields: frozenset[str]) -> None:
        self.rules = rules
        self.old_image_fields = old_image_fields
        self.sink = FakeSink()
        self.items: dict[str, Change] = {}
        self.sequence = 0
        self.outcome = ""
        self.write: Write | None = None
        self.place = ""
        self.document_id: Any = None

    async def put(self, table: str, item: dict[str, Any]) -> None:
        key = self.rules.entry(table)[1].key or ("id",)
        change = change_of(table, key, item)
        before = self.items.get(repr(change.key))
        self.items[repr(change.key)] = change
        if before is not None and before.image is not None and change.image is not None:
            old = {name: value for name, value in before.image.items() if name in self.old_image_fields}
            gone = frozenset(before.image.keys() - change.image.keys())
            change = change._replace(old=old, gone=gone)
        await self._apply(change)

    async def delete(self, table: str, key: dict[str, Any], *, ttl: bool) -> None:
        change = change_of(table, key, key)
        before = self.items[repr(change.key)].image or {}
        old = {name: value for name, value in before.items() if name in self.old_image_fields}
        await self._apply(change._replace(op=Op.DELETE, image=None, ttl=ttl, old=old))

    async def _apply(self, change: Change) -> None:
        self.sequence += 1
        change = change._replace(sequence=str(self.sequence), at=AT)
        try:
            table = self.rules.table(change.table)
            target = locate(table, change)
        except PoisonError as error:
            self.outcome = f"parked: {error.code}: {error.reason}"
            return
        self.place = f"{target.database}/{target.collection}" if target.database else target.collection
        self.document_id = target.document_id
        self.write, unfit = fold(Candidates(table, target, [(change, 0)]), {})
        if self.write is not None:
            await self.sink.apply([self.write])
        self.outcome = "no document" if self.document() is None else ""
        for _, _, why in unfit:
            self.outcome = f"parked: {why.code}: {why.reason}"

    def document(self) -> dict[str, Any] | None:
        """The document of the last change, as it is stored."""
        found = [document for document in self.sink.all(self.place) if document["_id"] == self.document_id]
        assert len(found) <= 1
        return found[0] if found else None

    def shown(self) -> Any:
        """It as the page shows it."""
        document = as_json(self.document())
        metadata = document[next(name for name in ("_ddb", "_meta") if "v" in document.get(name, ""))]
        for versioned in (metadata, metadata.get("deleted")):
            if versioned is not None:
                versioned["v"] = VERSION
        return document


async def happen(world: World, kind: str, text: str) -> None:
    """One block after the mapping."""
    what, _, argument = kind.partition(" ")
    if what in {"outcome", "refused"}:
        assert world.outcome == text.strip()
        return
    content = json.loads(text)
    match what:
        case "item":
            await world.put(argument or "people", content)
        case "application":
            document = world.document()
            assert document is not None
            document.update(content)
        case "delete" | "expire":
            await world.delete("people", content, ttl=what == "expire")
        case "document":
            assert world.place == (argument or "people").replace(".", "/")
            assert json.dumps(world.shown()) == json.dumps(content)
        case "filter":
            assert world.write is not None
            assert document_filter(world.write.target, world.write.shard) == content
        case _:
            raise AssertionError(f"a block of the kind {kind!r}")


@pytest.mark.parametrize(
    ("line", "example"), [pytest.param(*each, id=f"line {each[0]}") for each in examples()]
)
async def test_an_example(
    line: int, example: Example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page says what the code does."""
    old_image_fields: frozenset[str] = frozenset()
    world: World | None = None
    kinds = [kind.split()[0] for kind, _ in example]
    assert RESULTS & set(kinds), f"the mapping in line {line} has no result"
    for kind, text in example:
        if kind.startswith("python"):
            name = kind.split()[1]
            (tmp_path / f"{name}.py").write_text(text)
            monkeypatch.syspath_prepend(tmp_path)
            monkeypatch.delitem(sys.modules, name, raising=False)
        elif kind.startswith("sh"):
            old_image_fields = frozenset(text.strip().partition("=")[2].split(","))
        elif kind == "yaml" and "refused" in kinds:
            with pytest.raises(MappingError) as caught:
                parse_replication(text, "")
            world = World(Rules(), old_image_fields)
            world.outcome = "\n".join(map(str, caught.value.mistakes))
        elif kind == "yaml":
            replication = parse_replication(text, "")
            world = World(Rules(replication, load_hooks(replication)), old_image_fields)
        else:
            assert world is not None
            await happen(world, kind, text)


def rows() -> Iterator[tuple[str, str, str]]:
    conversion = ""
    for named, value, result in ROW.findall(PAGE):
        conversion = named or conversion
        yield conversion, value, result


@pytest.mark.parametrize(("conversion", "value", "result"), [*rows()])
async def test_a_conversion(conversion: str, value: str, result: str) -> None:
    """The table of conversions is right, row by row."""
    text = f"tables: {{people: {{key: [id], fields: {{f: {{convert: {conversion}}}}}}}}}"
    world = World(Rules(parse_replication(text, "")), frozenset())
    await world.put("people", {"id": {"N": "1"}, "f": json.loads(value)})
    if result.startswith("parked: "):
        assert world.outcome == f"parked: bad-conversion: field 'f': {result.removeprefix('parked: ')}"
    else:
        assert json.dumps(as_json(world.document())["f"]) == json.dumps(json.loads(result.strip("`")))


def test_everything_has_an_example() -> None:
    """Each setting is in a mapping of the page, each conversion in its table with a value that it refuses."""
    mappings = "\n".join(text for _, example in examples() for kind, text in example if kind == "yaml")
    for setting in (*TableRule.model_fields, *FieldRule.model_fields):
        assert re.search(rf"\b{setting}:", mappings), setting
    refused = {conversion for conversion, _, result in rows() if result.startswith("parked: ")}
    taken = {conversion for conversion, _, result in rows() if not result.startswith("parked: ")}
    assert refused == taken == set(Conversion)
