"""The text of `replicator init`: whatever a table is called, the writer reads the same names from it."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ops.console.exit_status import CommandError
from ops.init.mapping_text import commands_for_mongosh, mapping_text
from ops.init.tables import SecondaryIndex, TableDescription, TimeToLive
from tests.support.mongosh_commands import read_commands
from writer.mapping.conversions import Conversion
from writer.mapping.model import Deletes, UnnamedTables
from writer.mapping.parser import parse_replication
from writer.mapping.paths import parse_path
from writer.mapping.rules import Rules
from writer.names import METADATA_FIELD

TABLE_NAMES = st.text("abzANO019_.-", min_size=3, max_size=20) | st.sampled_from(
    ["null", "yes", "1e5", "2020-01-01", "0x1f", "...", ".a.", "a..b", "system.users", "-x-", "123", "key"]
)
ATTRIBUTES = st.text(min_size=1, max_size=12) | st.sampled_from(
    ["on", "null", "1", "a.b", "a\\b", "# no", "a: b", "{", "'", '"', "\n", "*x", "[0]", "_id", "_ddb", "~"]
)


@st.composite
def tables(draw: st.DrawFn) -> TableDescription:
    key = draw(st.lists(ATTRIBUTES, min_size=1, max_size=2, unique=True))
    name = draw(TABLE_NAMES)
    return TableDescription(
        name,
        dict.fromkeys(key, "S"),
        draw(st.sampled_from(["", "KEYS_ONLY", "NEW_AND_OLD_IMAGES"])),
        TimeToLive(draw(ATTRIBUTES)),
        [SecondaryIndex("by-x", tuple(dict.fromkeys([draw(ATTRIBUTES), key[0]])))],
    )


def uncommented(text: str) -> str:
    """As an operator makes settings of the suggestions."""
    return re.sub(r"^    # (ttl_deletes: |fields:$|  .*convert: )", r"    \1", text, flags=re.MULTILINE)


@settings(max_examples=60)
@given(st.lists(tables(), min_size=1, max_size=3, unique_by=lambda table: table.name))
@example([TableDescription(".a.", {"k": "S"}), TableDescription("table_a", {"k": "S"})])
def test_the_writer_reads_what_dynamodb_said(described: list[TableDescription]) -> None:
    """Names and keys are exactly those, each table has a collection, and no other table is taken."""
    replication = parse_replication(mapping_text(described), "replication.yaml")
    rules = Rules(replication, {}, "app")
    assert replication.unnamed_tables is UnnamedTables.REFUSE
    assert set(replication.tables) == {table.name for table in described}
    for table in described:
        assert rules.table(table.name).rule.key == tuple(table.key)


@settings(max_examples=60)
@given(tables())
def test_the_suggestions_are_settings(table: TableDescription) -> None:
    """With the `#` taken away, they say of the very attribute what the comment says."""
    rule = parse_replication(uncommented(mapping_text([table])), "replication.yaml").tables[table.name]
    assert rule.ttl_deletes is Deletes.KEEP
    if table.time_to_live.attribute == METADATA_FIELD:
        assert not rule.fields
        return
    ((path, field),) = rule.fields.items()
    assert field.convert is Conversion.EPOCH_SECONDS
    assert parse_path(path) == (table.time_to_live.attribute,)


@settings(max_examples=60)
@given(tables())
def test_a_command_is_javascript_that_keeps_the_order(table: TableDescription) -> None:
    """Each one makes the index of these fields in this order, or a comment stands for it."""
    lines = commands_for_mongosh([table], "app")
    renamed = {"_id": "_id_", "_ddb": "_ddb_"}
    wanted = [
        [renamed.get(each, each) for each in fields] for fields in (tuple(table.key), table.indexes[0].key)
    ]
    for command in read_commands(lines):
        assert [name for name, _ in command.keys] in wanted
        assert command.database == "app"
        assert set(command.options.get("partialFilterExpression", {})) <= {name for name, _ in command.keys}


def test_what_is_not_known_is_said() -> None:
    """It is a comment, on one line, and no setting."""
    text = mapping_text([TableDescription("t-1", {"id": "N"}, "", TimeToLive(unknown="no\npermission"))])
    assert "    # Time to live: unknown: no permission.\n" in text
    assert "ttl_deletes" not in text


def test_a_table_of_ours_is_refused() -> None:
    """The writer would park all its changes."""
    with pytest.raises(CommandError, match="our own"):
        mapping_text([TableDescription("_replicator_x", {"id": "N"})])
