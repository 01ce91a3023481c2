"""`replicator check-config`, as it is typed: what it says of a mapping, right or wrong, and its status."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ops.cli import app
from ops.config.config_schema import schema_text
from tests.support.checked_mapping import run

pytestmark = pytest.mark.usefixtures("folder")

SUMMARY = """\
r.yaml is valid.

people -> crm.customers
  key            tenant, id
  numbers        decimal128
  mode           merge
  deletes        mark
  metadata       meta
  attribute _id  becomes external_id
  exclude        secret, address.geo
  field          created_at: convert epoch_seconds
  field          age: default null
  field          first: default "?", rename to given_name
  field          junk: drop
  hook           hooks_of_the_command:hook

places -> (MONGODB_DATABASE).places
  key            id
  numbers        native
  mode           replace
  deletes        delete
  shard key      region
  include        id, region

orders-* -> archive.o_*
  key            as in the table; two attributes: by name
  numbers        native
  mode           replace
  deletes        delete, keep when expired

Every other table is replicated unchanged to the collection of the same name.
"""


def test_a_right_file_is_summed_up() -> None:
    """Single tables first, then patterns in the order in which they are tried."""
    assert run("r.yaml")[:2] == (0, SUMMARY)


def test_a_file_without_entries() -> None:
    """Everything goes by the defaults."""
    Path("e.yaml").write_text("")
    expected = "e.yaml is valid.\n\nEvery table is replicated unchanged to the collection of the same name.\n"
    assert run("e.yaml")[:2] == (0, expected)


def test_a_file_that_refuses_other_tables() -> None:
    """It says so; asked about such a table, it is found wanting."""
    Path("n.yaml").write_text("unnamed_tables: refuse")
    expected = "n.yaml is valid.\n\nEvery table is refused: its changes are parked.\n"
    assert run("n.yaml")[:2] == (0, expected)
    assert json.loads(run("n.yaml", "--json")[1])["unnamed_tables"] == "refuse"
    status, output, _ = run("n.yaml", "--table", "orders")
    assert status == 1
    assert "every change would be parked: unnamed-table: the mapping does not name the table" in output


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ("people", "people -> crm.customers"),
        ("orders-7", "orders-7 -> archive.o_7 (by orders-*)"),
        ("other", "other -> (MONGODB_DATABASE).other (no entry: the defaults)"),
    ],
)
def test_one_table(table: str, line: str) -> None:
    """Where it goes, and by which entry; nothing about the others."""
    status, output, _ = run("r.yaml", "--table", table)
    assert status == 0
    assert output.splitlines()[2] == line
    assert len(re.findall("^  key", output, re.MULTILINE)) == 1


def test_a_table_whose_changes_would_all_be_parked() -> None:
    """It has no entry, so the file is right, and still nothing of it would arrive."""
    status, output, _ = run("r.yaml", "--table", "system.users")
    assert status == 1
    assert "\n  every change would be parked: bad-collection: the collection name 'system.users'" in output


def test_mistakes_are_lines() -> None:
    """Each with file and place; hooks, and names that are no collections, are among them."""
    Path("w.yaml").write_text("tables: {t: {keys: [a], mode: Merge}, u: {shard_key: [_id]}}")
    status, output, _ = run("w.yaml")
    assert status == 1
    assert [line.split(": ")[:2] for line in output.splitlines()] == [
        ["w.yaml:1:14", "tables.t.keys"],
        ["w.yaml:1:31", "tables.t.mode"],
        ["w.yaml:1:43", "tables.u"],
    ]
    Path("w.yaml").write_text("tables: {t: {hook: 'x_y_z:f'}, u: {hook: 'json:nothing'}}")
    assert run("w.yaml")[:2] == (
        1,
        (
            "w.yaml:1:20: tables.t.hook: x_y_z:f: ModuleNotFoundError: No module named 'x_y_z'\n"
            "w.yaml:1:42: tables.u.hook: json:nothing: the module has no function nothing\n"
        ),
    )
    Path("w.yaml").write_text("tables: {system.users: {}}")
    assert run("w.yaml")[:2] == (
        1,
        (
            "w.yaml:1:10: tables.system.users: the collection name 'system.users' is reserved: "
            "name one in the mapping\n"
        ),
    )
    Path("w.yaml").write_text("tables: {a: {database: main, collection: c}, b: {collection: c}}")
    assert run("w.yaml")[0] == 0
    expected = "the tables 'a' and 'b' both go to the collection 'c' of the database 'main'"
    assert run("w.yaml", "--mongodb-database", "main")[:2] == (1, f"w.yaml:1:46: tables.b: {expected}\n")


def test_the_database_of_the_writer_is_told_where_it_is_known() -> None:
    """Beside each collection that has no other."""
    _, output, _ = run("r.yaml", "--mongodb-database", "main", "--json")
    assert {table["name"]: table["database"] for table in json.loads(output)["tables"]} == {
        "people": "crm",
        "places": "main",
        "orders-*": "archive",
    }


def test_json_of_mistakes() -> None:
    """The same lines, without the file's name in front."""
    Path("w.yaml").write_text("tables: {t: {mode: x}}")
    status, output, _ = run("w.yaml", "--json")
    assert status == 1
    text = "'x' is not known here; there are replace, merge"
    problem = {"setting": "tables.t.mode", "text": text, "line": 1, "column": 20}
    expected = {"file": "w.yaml", "valid": False, "problems": [problem], "warnings": []}
    assert json.loads(output) == expected


WRONG = "tables: {t: {mode: x, hook: 'no_such_module:f'}, u: {hook: 'hooks_of_the_command:hok'}}"


def test_hooks_and_settings_at_once() -> None:
    """A wrong setting does not hide a hook that cannot be imported; a name that is close is suggested."""
    Path("w.yaml").write_text(WRONG)
    status, output, _ = run("w.yaml")
    assert status == 1
    first, second, third = output.splitlines()
    assert first == "w.yaml:1:20: tables.t.mode: 'x' is not known here; there are replace, merge"
    assert second.startswith("w.yaml:1:29: tables.t.hook: no_such_module:f: ModuleNotFoundError")
    assert third == (
        "w.yaml:1:60: tables.u.hook: hooks_of_the_command:hok: the module has no function hok "
        "(did you mean hook?)"
    )


def test_standard_input() -> None:
    """As another program makes it; only one of the two files can be."""
    text = "tables: {t: {mode: x}}"
    status, output, _ = run("-", stdin=text)
    assert (status, output.partition(" tables")[0]) == (1, "standard input:1:20:")
    assert run("-", stdin="")[:2] == (
        0,
        (
            "standard input is valid.\n\n"
            "Every table is replicated unchanged to the collection of the same name.\n"
        ),
    )
    assert run("-", "--sample", "-")[0] == 2


def test_the_file_of_the_writer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a name, that of REPLICATION_FILE."""
    monkeypatch.setenv("REPLICATION_FILE", "r.yaml")
    assert run()[1].startswith("r.yaml is valid.")
    monkeypatch.delenv("REPLICATION_FILE")
    assert run()[0] == 2


def test_a_table_that_was_meant() -> None:
    """Another name than that of an entry is no mistake; it is said."""
    _, output, _ = run("r.yaml", "--table", "peopel")
    assert "(no entry: the defaults) (did you mean people?)" in output


WITHOUT_EFFECT = """\
tables:
  t:
    key: [id]
    exclude: [a, a.b, c, c]
    fields:
      a.x: {convert: int}
      d: {drop: true}
      d.e: {default: 1}
      f: {rename: g}
      g.h: {convert: int}
      i: {}
      j: {rename: j}
      k: {convert: int}
  u:
    include: [l, m.n]
    fields:
      o: {convert: int}
      p: {default: 1}
      m: {rename: q}
      l.r: {convert: int}
"""


def test_rules_that_can_match_nothing() -> None:
    """A warning each, with its line; the file is valid."""
    Path("w.yaml").write_text(WITHOUT_EFFECT)
    status, output, _ = run("w.yaml")
    assert status == 0
    assert re.findall(r"w.yaml:(\S+): warning: (.*)", output) == [
        ("4:18", "tables.t.exclude.1: 'a.b' has no effect, because 'a' covers everything below it"),
        ("4:26", "tables.t.exclude.3: 'c' appears twice"),
        ("6:7", "tables.t.fields.a.x: it matches nothing: 'exclude a' removes its parent"),
        ("8:7", "tables.t.fields.d.e: it matches nothing: 'drop d' removes its parent"),
        ("10:7", "tables.t.fields.g.h: paths have the names of the item, before 'f' is renamed: f.h"),
        ("11:7", "tables.t.fields.i: it changes nothing"),
        ("12:7", "tables.t.fields.j: it changes nothing"),
        ("17:7", "tables.u.fields.o: it matches nothing, because include leaves the attribute out"),
    ]
    assert "w.yaml is valid." in output
    assert json.loads(run("w.yaml", "--json")[1])["warnings"][0] == {
        "setting": "tables.t.exclude.1",
        "text": "'a.b' has no effect, because 'a' covers everything below it",
        "line": 4,
        "column": 18,
    }


def test_rules_that_match_nothing_in_a_sample() -> None:
    """Those without a warning of their own; a path goes through lists, and a default needs no attribute."""
    rules = "{lines.price: {convert: int}, lines.tax: {convert: int}, name: {rename: n}, new: {default: 1}}"
    Path("w.yaml").write_text(f"tables: {{t: {{key: [id], exclude: [x], fields: {rules}}}}}")
    lines = {"L": [{"S": "no map"}, {"M": {"price": {"N": "1"}}}]}
    Path("item.json").write_text(
        json.dumps({"Items": [{"id": {"N": "1"}}, {"id": {"N": "2"}, "lines": lines}]})
    )
    status, output, _ = run("w.yaml", "--sample", "item.json")
    assert status == 0
    assert re.findall(r"warning: (\S+): (.*)", output) == [
        ("tables.t.exclude", "'x' matches nothing in the sample"),
        ("tables.t.fields.lines.tax", "'lines.tax' matches nothing in the sample"),
        ("tables.t.fields.name", "'name' matches nothing in the sample"),
    ]


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [({}, False), ({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False)],
)
def test_colours(environment: dict[str, str], coloured: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001
    """Not in files and pipes, and not where nobody wants them."""
    monkeypatch.setenv("TERM", "xterm-256color")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert bool(re.search(r"\x1b\[(\d+;)*3\d", run("r.yaml")[1])) is coloured


def test_long_lines_are_broken_between_words_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a pipe a mistake is one line, for grep."""
    Path("w.yaml").write_text("tables: {t: {feilds: {}}}")
    assert len(run("w.yaml")[1].splitlines()) == 1
    monkeypatch.setenv("FORCE_COLOR", "1")
    lines = re.sub(r"\x1b\[[\d;]*m", "", run("w.yaml")[1]).splitlines()
    assert len(lines) > 1
    assert all(len(line) <= 80 for line in lines)
    assert all(line.startswith("    ") for line in lines[1:])


def test_help_names_every_option() -> None:
    """With what it is for."""
    result = CliRunner().invoke(app, ["check-config", "--help"])
    assert result.exit_code == 0
    for option in ("--table", "--sample", "--key", "--mongodb-database", "--json", "Exit status"):
        assert option in result.stdout


def test_the_schema_is_printed() -> None:
    """As it stands in the file of the repository."""
    result = CliRunner().invoke(app, ["config-schema"])
    assert (result.exit_code, result.stdout) == (0, schema_text())
