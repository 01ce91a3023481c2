"""`replication.yaml`: names, patterns, owners of collections, and what is said about mistakes.

More mistakes, those of single settings, are in test_writer_mapping.py and test_replication_schema.py.
"""

from __future__ import annotations

import pytest

from shared.errors import PoisonError
from writer.mapping.model import Deletes
from writer.mapping.parser import parse_replication
from writer.mapping.problems import MappingError
from writer.mapping.rules import MOST_BY_PATTERN, MOST_UNNAMED, Rules

SOURCE = "r.yaml"


def mistakes(text: str) -> tuple[str, ...]:
    """What is wrong with a text."""
    with pytest.raises(MappingError) as caught:
        parse_replication(text, SOURCE)
    assert str(caught.value) == "; ".join(mistake.located(SOURCE) for mistake in caught.value.mistakes)
    return tuple(map(str, caught.value.mistakes))


def rules(tables: str, database: str = "") -> Rules:
    return Rules(parse_replication(f"tables: {{{tables}}}", SOURCE), {}, database)


def place(found: Rules, table: str) -> str:
    """Where a table goes, or the code of the reason why it goes nowhere."""
    try:
        made = found.table(table)
    except PoisonError as error:
        return error.code
    return f"{made.database}/{made.collection}"


@pytest.mark.parametrize(
    ("tables", "table", "expected"),
    [
        ("", "a", "/a"),
        ("a: {}", "a", "/a"),
        ("a: {collection: b}", "a", "/b"),
        ("a: {database: d}", "a", "d/a"),
        ("a: {database: d, collection: b}", "a", "d/b"),
        # which entry: the name itself, then the longest beginning, wherever it stands
        ("a*: {database: short}, ab*: {database: long}", "abc", "long/abc"),
        ("ab*: {database: long}, a*: {database: short}", "abc", "long/abc"),
        ("ab*: {database: long}, a*: {database: short}", "ab", "long/ab"),
        ("ab*: {database: long}, a*: {database: short}", "a", "short/a"),
        ("a*: {database: p}, abc: {database: own}", "abc", "own/abc"),
        ("a*: {database: p}, '*': {database: all}", "b", "all/b"),
        ("a*: {database: p}", "b", "/b"),
        # the star of the collection
        ("a-*: {collection: 'x_*'}", "a-1", "/x_1"),
        ("a-*: {collection: '*_x'}", "a-1", "/1_x"),
        ("a-*: {collection: 'x_*_y'}", "a-1", "/x_1_y"),
        ("a-*: {collection: 'x_*'}", "a-", "/x_"),
        ("'*': {collection: 'x_*'}", "a", "/x_a"),
        ("'*': {collection: '*'}", "a", "/a"),
        # names that cannot be collections
        ("", "system.users", "bad-collection"),
        ("", "a..b", "bad-collection"),
        ("'*': {collection: 'system*'}", ".users", "bad-collection"),
        ("a-*: {collection: '*'}", "a-", "bad-collection"),
        ("", "_replicator_tombstones", "bad-collection"),
        ("", "_replicator_backfills", "bad-collection"),
        ("", "_replicator_", "bad-collection"),
        ("'*': {collection: 'x_*'}", "_replicator_backfills", "bad-collection"),
        ("'*': {collection: '_repl*'}", "icator_x", "bad-collection"),
        # collections that are another table's
        ("a: {collection: b}", "b", "bad-collection"),
        ("a: {collection: b, database: d}", "b", "/b"),
        ("a-*: {collection: 'x_*'}", "x_1", "bad-collection"),
        ("a-*: {collection: 'x_*'}", "x_", "bad-collection"),
        ("a-*: {collection: 'x_*', database: d}", "x_1", "/x_1"),
        ("a-*: {collection: 'x_*'}, a-1: {}", "x_1", "/x_1"),  # a-1 goes elsewhere, so it is free
        ("a-*: {collection: 'x_*'}, b: {collection: x_1}", "a-1", "bad-collection"),
        ("a-*: {collection: 'x_*'}, b: {collection: x_1}", "b", "/x_1"),
        ("'*': {collection: 'x_*'}", "x_a", "/x_x_a"),
    ],
)
def test_where_a_table_goes(tables: str, table: str, expected: str) -> None:
    """And that it does not depend on who comes first."""
    found = rules(tables)
    assert place(found, table) == expected
    assert place(found, table) == expected


def test_a_named_database_can_be_that_of_the_settings() -> None:
    """Then the two are one place: which is known only with the settings."""
    tables = "a: {database: main, collection: c}, b: {collection: c}"
    assert place(rules(tables), "b") == "/c"
    with pytest.raises(
        MappingError, match="'a' and 'b' both go to the collection 'c' of the database 'main'"
    ):
        rules(tables, "main")
    assert place(rules("a: {database: main, collection: c}", "main"), "a") == "/c"
    assert place(rules("a: {database: main, collection: c}", "main"), "c") == "bad-collection"


@pytest.mark.parametrize(
    ("tables", "most"), [("t1: {}, x-*: {}", MOST_UNNAMED), ("t1: {}, 't*': {}", MOST_BY_PATTERN)]
)
def test_tables_that_are_not_named_are_bounded(tables: str, most: int) -> None:
    """Their names come with the messages, and each is a collection (P7). Those that are there go on."""
    found = rules(tables)
    places = [place(found, f"t{number}") for number in range(most + 10)]
    assert places == [f"/t{number}" for number in range(most + 1)] + ["too-many-tables"] * 9  # t1 is named
    assert [place(found, name) for name in ("t0", "t1", f"t{most + 2}")] == ["/t0", "/t1", "too-many-tables"]


@pytest.mark.parametrize(
    ("table", "expected"), [("a", "/a"), ("b-1", "/b-1"), ("c", "unnamed-table"), ("b", "unnamed-table")]
)
def test_tables_that_are_not_named_can_be_refused(table: str, expected: str) -> None:
    """By the file; a pattern names the tables that fit it."""
    file = "{unnamed_tables: refuse, tables: {a: {}, b-*: {}}}"
    assert place(Rules(parse_replication(file, "")), table) == expected


@pytest.mark.parametrize(
    "tables",
    [
        "_replicator_x: {}",
        "_replicator_*: {}",
        "a: {collection: _replicator_x}",
        "a*: {collection: _replicator_*}",
    ],
)
def test_our_own_collections_are_reserved(tables: str) -> None:
    """Neither as a table nor as a target, those of later versions included."""
    with pytest.raises(MappingError, match="is reserved"):
        rules(tables)


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        ("a: {collection: c}, b: {collection: c}", ["'a' and 'b' both go to the collection 'c'"]),
        ("a: {collection: b}, b: {}", ["'a' and 'b' both go"]),
        ("a: {collection: c}, b: {collection: c}, d: {collection: c}", ["'a' and 'b'", "'a' and 'd'"]),
        ("a: {database: d, collection: c}, b: {database: d, collection: c}", ["'a' and 'b' both go"]),
        ("a*: {collection: 'x*'}, b*: {collection: 'x*'}", ["'a*' and 'b*'"]),
        ("a*: {collection: 'x*'}, b*: {collection: 'xy*'}", ["'a*' and 'b*' can send"]),
        ("a*: {collection: 'x*z'}, b*: {collection: 'x*'}", ["'a*' and 'b*' can send"]),
        ("a*b: {}", ["the table name 'a*b' has a * that is not at its end"]),
        ("'**': {}", ["the pattern '**' has more than one *"]),
        ("a: {collection: 'x*'}", ["the collection of the table 'a' has a *, which only patterns have"]),
        ("a*: {collection: x}", ["the pattern 'a*' goes to the collection 'x': it needs exactly one *"]),
        ("a*: {collection: '*x*'}", ["the pattern 'a*' goes to the collection '*x*'"]),
        ("a*b: {}, '**': {}, c: {collection: e}, e: {}", ["'a*b'", "'**'", "'c' and 'e'"]),
    ],
)
def test_tables_that_get_into_each_others_way(tables: str, expected: list[str]) -> None:
    """All of them are named."""
    found = mistakes(f"tables: {{{tables}}}")
    assert len(found) == len(expected)
    for mistake, part in zip(found, expected, strict=True):
        assert mistake.startswith("tables: ")
        assert part in mistake


@pytest.mark.parametrize(
    "tables",
    [
        "a: {collection: c}, b: {database: d, collection: c}",
        "a*: {collection: 'x*'}, b*: {collection: 'x*', database: d}",
        "a*: {collection: 'x*'}, b*: {collection: 'y*'}",
        "a*: {collection: '*x'}, b*: {collection: '*y'}",
        "a*: {}, b*: {}",
        "a*: {}, '*': {collection: '*'}",
    ],
)
def test_tables_that_do_not(tables: str) -> None:
    """Different databases, beginnings or ends keep them apart."""
    rules(tables)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("{metadata_field: a.b}", ["metadata_field: the name 'a.b' begins with $, or holds a dot or NUL"]),
        ("{metadata_field: _id}", ["metadata_field: the name '_id' is the document's key"]),
        ("{id_attribute: ''}", ["id_attribute: the name '' is empty"]),
        ("{id_attribute: m, metadata_field: m}", ["id_attribute and metadata_field are both 'm'"]),
        ("{database: admin}", ["the database name 'admin' belongs to MongoDB itself"]),
        ("{key: [a, a]}", ["the key names 'a' twice"]),
        ("{fields: {a..b: {}}}", ["the path 'a..b' has an empty name"]),
        ("{include: []}", ["include is empty"]),
        ("{shard_key: [_ddb.v]}", ["the metadata changes with each version"]),
        ("{include: [a.], exclude: [.a]}", ["the path 'a.'", "the path '.a'", "either include or exclude"]),
        ("{exclude: [a], fields: {a: {}}}", ["the field 'a' is excluded, and has rules"]),
        ("{fields: {a: {rename: c}, b: {rename: c}}}", ["the fields 'a' and 'b' both become 'c'"]),
        ("{fields: {a: {rename: b}, b: {}}}", ["the fields 'a' and 'b' both become 'b'"]),
        ("{fields: {x.a: {rename: b}, x.b: {}}}", ["the fields 'x.a' and 'x.b' both become 'b'"]),
        ("{fields: {a: {rename: _ddb}}}", ["the field 'a' cannot become '_ddb': that holds the metadata"]),
        ("{metadata_field: m, fields: {m: {}}}", ["the field 'm' cannot become 'm'"]),
        ("{shard_key: [_id]}", ["shard_key names '_id': a shard key of _id needs no entry"]),
        ("{shard_key: [_id.a]}", ["shard_key names '_id.a'"]),
        ("{shard_key: [a..b]}", ["shard_key 'a..b' is not a path that MongoDB takes"]),
        ("{shard_key: [$a]}", ["shard_key '$a' is not a path that MongoDB takes"]),
        ("{shard_key: [a], deletes: keep}", ["can only be delete"]),
        ("{shard_key: [a], ttl_deletes: mark}", ["can only be delete"]),
        ("{ttl_attribute: expires}", ["ttl_attribute without ttl_deletes changes nothing"]),
    ],
)
def test_settings_that_contradict_themselves_or_each_other(rule: str, expected: list[str]) -> None:
    """Each with its table."""
    found = mistakes(f"tables: {{t: {rule}}}")
    assert len(found) == len(expected)
    for mistake, part in zip(found, expected, strict=True):
        assert mistake.startswith("tables.t: ")
        assert part in mistake


@pytest.mark.parametrize(
    "rule",
    [
        "{fields: {_ddb: {drop: true}}}",
        "{fields: {_ddb: {rename: theirs}}}",
        "{metadata_field: m, fields: {_ddb: {default: 1}}}",
        "{fields: {a: {drop: true}, b: {rename: a}}}",
        "{fields: {a: {rename: b}, b: {rename: a}}}",
        "{include: [a, b.c], fields: {a: {rename: d}, b.c: {convert: int}}}",
        "{fields: {x.a: {rename: b}, b: {}, y.b: {}}}",
        "{fields: {x._ddb: {default: 1}}}",
        "{shard_key: [a], key: [a, b], deletes: keep}",
        "{shard_key: [a.b]}",
        "{exclude: [a.b], fields: {a: {rename: b}}}",
    ],
)
def test_settings_that_go_together(rule: str) -> None:
    """What looks alike, and is right."""
    parse_replication(f"tables: {{t: {rule}}}", SOURCE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tables: {t: {key: [a], key: [b]}}", ":1:24: 'key' appears twice"),
        ("tables: {t: {fields: {a: {}, 'a': {}}}}", ":1:30: 'a' appears twice"),
        ("tables: {}\ntables: {}", ":2:1: 'tables' appears twice"),
        ("tables: {t: {fields: {f: {default: {a: 1, a: 2}}}}}", "'a' appears twice"),
        ("tables: {t: {<<: {mode: merge}, mode: merge, mode: replace}}", "'mode' appears twice"),
        ("tables: [", ":1:10: "),
        ("tables: {t: *x}", ":1:13: found undefined alias 'x'"),
        ("tables: !!python/name:os.system {}", ":1:9: could not determine a constructor"),
        ("tables: {[a]: {}}", "found unhashable key"),
        ("\t", ":1:1: "),
        ("\x07", "special characters are not allowed"),
        ("a: 1\n--- \nb: 2", "but found another document"),
    ],
)  # fmt: skip
def test_what_is_not_yaml(text: str, expected: str) -> None:
    """One line, with the place; a key that appears twice is a mistake, not a choice."""
    (mistake,) = mistakes(text)
    assert mistake.startswith("this is not YAML: ") or mistake.endswith(" appears twice")
    with pytest.raises(MappingError) as caught:
        parse_replication(text, SOURCE)
    located = str(caught.value).replace("this is not YAML: ", "")
    assert expected in located
    assert "\n" not in located


def test_a_merge_key_can_be_overridden() -> None:
    """As YAML has it: what stands beside `<<` counts."""
    text = """
tables:
  a: &a {mode: merge, deletes: mark}
  b: &b {<<: *a, deletes: keep}
  c: {<<: [*b, *a]}
"""
    found = parse_replication(text, SOURCE).tables
    assert (found["b"].mode, found["b"].deletes) == ("merge", Deletes.KEEP)
    assert found["c"] == found["b"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tables:", ["tables: settings are expected here, each as `name: value`; write {} for none"]),
        ("tables: {t: }", ["tables.t: settings are expected here, each"]),
        ("tables: {t: {fields: {f: }}}", ["tables.t.fields.f: settings are expected here, each"]),
        ("tables: {t: {fields: [f]}}", ["tables.t.fields: settings are expected here, each"]),
        ("tables: {t: {key: id}}", ["tables.t.key: a list is expected here, such as [id]"]),
        ("tables: {t: {key: [a, b, c]}}", ["tables.t.key: a key has at most two attributes"]),
        ("tables: {t: {key: [on]}}", ["tables.t.key.0: a text is expected here. YAML does not read words"]),
        ("tables: {t: {fields: {f: {rename: ''}}}}", ["tables.t.fields.f.rename: it is empty"]),
        ("tables: {t: {fields: {f: {drop: 'yes'}}}}", ["tables.t.fields.f.drop: only true or false"]),
        ("tables: {t: {fields: {f: {drop: true, default: 1}}}}", ["tables.t.fields.f: a field that is"]),
        ("tables: {t: {hook: f}}", ["tables.t.hook: a hook is written as module:function"]),
        ("tables: {t: {hook: 'a-b:f'}}", ["tables.t.hook: a hook is written as module:function"]),
        ("tables: {t: {deletes: Mark}}", ["tables.t.deletes: 'Mark' is not known here (did you mean mark?)"]),
        ("tables: {t: {collection: a$b}}", ["tables.t.collection: the collection name 'a$b' is one that"]),
        ("tables: {t: {feilds: {}}}", ["tables.t.feilds: there is no such setting (did you mean fields?)"]),
        ("tables: {a: {mode: x, key: y}, b: {z: 1}}", ["tables.a.mode", "tables.a.key", "tables.b.z"]),
    ],
)  # fmt: skip
def test_mistakes_in_single_settings(text: str, expected: list[str]) -> None:
    """Each has its place and says what is allowed there, in words of the file and not of Python."""
    found = mistakes(text)
    assert len(found) == len(expected)
    for mistake, beginning in zip(found, expected, strict=True):
        assert mistake.startswith(beginning)
        assert "tuple" not in mistake
        assert "dictionary" not in mistake


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("key: [id]", set()),
        ("key: [id], ttl_deletes: keep, ttl_attribute: expires", {"expires"}),
        ("key: [id], shard_key: [region]", {"region"}),
        ("key: [id], shard_key: [where.region, where.zone, at]", {"where", "at"}),
        ("key: [id], shard_key: [r], fields: {region: {rename: r}, zone: {rename: z}}", {"r", "region"}),
        ("key: [id], shard_key: [r], fields: {region: {rename: r}, r: {drop: true}}", {"region"}),
        ("key: [id], shard_key: [where.r], fields: {where.region: {rename: r}}", {"where"}),
        ("key: [id], shard_key: [r], include: [region], fields: {region: {rename: r}}", {"region"}),
        ("key: [id], shard_key: [_id_]", {"_id", "_id_", "_ddb"}),
        ("key: [id], shard_key: [n], id_attribute: n", {"_id", "_ddb", "n"}),
        ("key: [id], shard_key: [_m_], metadata_field: _m", {"_id", "_m", "_m_"}),
    ],
)
def test_attributes_whose_old_values_are_needed(table: str, expected: set[str]) -> None:
    """By their names in the item, whatever the document calls them: nobody else has to name them."""
    assert rules(f"t: {{{table}}}").table("t").old_attributes == expected
