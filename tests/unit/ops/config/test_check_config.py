"""`replicator check-config`, as it is typed: what it prints, and its exit status."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ops.cli import app
from ops.config.config_schema import schema_text

MAPPING = """
tables:
  orders-*: {collection: "o_*", database: archive, ttl_deletes: keep}
  people:
    database: crm
    collection: customers
    key: [tenant, id]
    numbers: decimal128
    mode: merge
    deletes: mark
    metadata_field: meta
    id_attribute: external_id
    exclude: [secret, address.geo]
    fields:
      created_at: {convert: epoch_seconds}
      age: {default: null}
      first: {rename: given_name, default: "?"}
      junk: {drop: true}
    hook: hooks_of_the_command:hook
  places: {key: [id], shard_key: [region], include: [id, region]}
"""

HOOKS = """
print("imported")


def hook(document, change):
    print("called")
    if "raise" in document:
        raise ValueError("so it is")
    return None if "none" in document else document
"""

PERSON = {
    "tenant": {"S": "t"},
    "id": {"N": "7"},
    "first": {"S": "Jo\u00e9"},
    "created_at": {"N": "1588166542.5"},
}

SUMMARY = """\
r.yaml is right.

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

Every other table goes as it is to the collection of its own name.
"""

PLACE = """\
places -> main.places
  key            id
  numbers        native
  mode           replace
  deletes        delete
  shard key      region
  include        id, region

the item -> main.places
{
  "_id": "Bonn",
  "id": "Bonn",
  "region": "eu",
  "_ddb": {
    "v": "<version>"
  }
}
found by {"_id": "Bonn", "region": "eu"}
"""

PEOPLE = """\
item 1 -> crm.customers
{
  "_id": {
    "tenant": "t",
    "id": 7
  },
  "tenant": "t",
  "id": 7,
  "created_at": {
    "$date": "2020-04-29T13:22:22.500Z"
  },
  "age": null,
  "given_name": "Jo\u00e9",
  "meta": {
    "v": "<version>",
    "names": [
      "tenant",
      "id",
      "created_at",
      "age",
      "given_name"
    ]
  }
}

item 2 is not replicated: the hook returned None; a document of it in crm.customers is removed

item 3 would be parked: hook-failed: the hook raised ValueError: so it is

item 4 would be parked: bad-conversion: field 'created_at': a text is not a number
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory: a mapping, its hooks, and a path as it was before."""
    (tmp_path / "r.yaml").write_text(MAPPING)
    (tmp_path / "hooks_of_the_command.py").write_text(HOOKS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("MONGODB_DATABASE", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


def run(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
    """Exit status, output, and what was said beside it, in one line and without the frame."""
    result = CliRunner().invoke(app, ["check-config", *arguments], input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    plain = re.sub(r"\x1b\[[\d;]*m", "", result.stderr)
    return result.exit_code, result.stdout, " ".join(re.sub("[─│╭╮╰╯]", " ", plain).split())


def sample(*items: dict[str, Any]) -> str:
    Path("items.json").write_text(json.dumps({"Items": items}))
    return "items.json"


def test_a_right_file_is_summed_up() -> None:
    """Single tables first, then patterns in the order in which they are tried."""
    assert run("r.yaml")[:2] == (0, SUMMARY)


def test_a_file_without_entries() -> None:
    """Everything goes by the defaults."""
    Path("e.yaml").write_text("")
    expected = "e.yaml is right.\n\nEvery table goes as it is to the collection of its own name.\n"
    assert run("e.yaml")[:2] == (0, expected)


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
        ["w.yaml", "tables.t.mode"],
        ["w.yaml", "tables.t.keys"],
        ["w.yaml", "tables.u"],
    ]
    Path("w.yaml").write_text("tables: {t: {hook: 'x_y_z:f'}, u: {hook: 'json:nothing'}}")
    assert run("w.yaml")[:2] == (
        1,
        (
            "w.yaml: tables.t.hook: x_y_z:f: ModuleNotFoundError: No module named 'x_y_z'\n"
            "w.yaml: tables.u.hook: json:nothing: the module has no function nothing\n"
        ),
    )
    Path("w.yaml").write_text("tables: {system.users: {}}")
    assert run("w.yaml")[:2] == (
        1,
        (
            "w.yaml: tables.system.users: the collection name 'system.users' is reserved: "
            "name one in the mapping\n"
        ),
    )
    Path("w.yaml").write_text("tables: {a: {database: main, collection: c}, b: {collection: c}}")
    assert run("w.yaml")[0] == 0
    expected = "the tables 'a' and 'b' both go to the collection 'c' of the database 'main'"
    assert run("w.yaml", "--database", "main")[:2] == (1, f"w.yaml: {expected}\n")


def test_what_becomes_of_items() -> None:
    """Each as the writer would have it: a document, nothing, or parked with its reason."""
    items = sample(PERSON, {**PERSON, "none": {"S": ""}}, {**PERSON, "raise": {"S": ""}},
                   {**PERSON, "created_at": {"S": "now"}})  # fmt: skip
    status, output, _ = run("r.yaml", "--table", "people", "--sample", items)
    assert status == 1
    assert output.endswith("\n\n" + PEOPLE)
    assert run("r.yaml", "--table", "people", "--sample", sample(PERSON))[0] == 0


def test_where_an_item_is_in_a_sharded_collection(monkeypatch: pytest.MonkeyPatch) -> None:
    """The filter that finds it; from standard input; the database can be that of the environment."""
    monkeypatch.setenv("MONGODB_DATABASE", "main")
    item = {"Item": {"id": {"S": "Bonn"}, "region": {"S": "eu"}}}
    status, output, _ = run("r.yaml", "--table", "places", "--sample", "-", stdin=json.dumps(item))
    assert (status, output) == (0, f"r.yaml is right.\n\n{PLACE}")


def test_the_only_entry_is_the_table_of_the_items() -> None:
    """And `--key` names the key where the entry does not."""
    Path("o.yaml").write_text("tables: {t: {}}")
    items = sample({"b": {"S": "x"}, "a": {"B": "AAE="}})
    status, output, _ = run("o.yaml", "--sample", items, "--key", "b", "--key", "a", "--json")
    assert status == 0
    (place,) = json.loads(output)["items"]
    assert (place["database"], place["collection"]) == (None, "t")
    assert place["document"] == {
        "_id": {"a": {"$binary": {"base64": "AAE=", "subType": "00"}}, "b": "x"},
        "b": "x",
        "a": {"$binary": {"base64": "AAE=", "subType": "00"}},
        "_ddb": {"v": "<version>"},
    }


def test_a_key_that_is_not_the_entrys_is_parked_as_it_would_be() -> None:
    """`--key` says what the table has, the entry what the mapping believes."""
    status, output, _ = run("r.yaml", "--table", "people", "--sample", sample(PERSON), "--key", "id")
    assert status == 1
    assert "the item would be parked: bad-key: the item's key is (id), but the mapping says" in output


def test_json() -> None:
    """One object, whatever hooks print; the same facts."""
    items = sample(PERSON, {**PERSON, "raise": {"S": ""}}, {**PERSON, "none": {"S": ""}})
    status, output, _ = run("r.yaml", "--table", "people", "--sample", items, "--json")
    data = json.loads(output)
    assert status == 1
    assert (data["file"], data["ok"], data["mistakes"]) == ("r.yaml", False, [])
    (table,) = data["tables"]
    assert (table["name"], table["entry"]) == ("people", "people")
    assert (table["database"], table["collection"]) == ("crm", "customers")
    assert table["settings"]["fields"]["age"] == {"default": None}
    assert table["settings"]["mode"] == "merge"
    document, parked, nothing = data["items"]
    assert document["document"]["created_at"] == {"$date": "2020-04-29T13:22:22.500Z"}
    assert parked == {"parked": {"code": "hook-failed", "reason": "the hook raised ValueError: so it is"}}
    assert nothing == {"database": "crm", "collection": "customers", "document": None}


def test_the_database_of_the_writer_is_told_where_it_is_known() -> None:
    """Beside each collection that has no other."""
    _, output, _ = run("r.yaml", "--database", "main", "--json")
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
    mistakes = ["tables.t.mode: Input should be 'replace' or 'merge'"]
    assert json.loads(output) == {"file": "w.yaml", "ok": False, "mistakes": mistakes}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("nothing.yaml", "'nothing.yaml' does not exist"),
        (".", "'.' is a directory"),
        ("latin1.yaml", "latin1.yaml cannot be read: 'utf-8' codec"),
        ("r.yaml --key id", "--key: it needs --sample"),
        ("r.yaml --sample good.json", "--table: name the table of the items; entries are orders-*, "),
        ("pattern.yaml --sample good.json", "--table: name the table of the items; entries are t*"),
        ("r.yaml --table people --sample nothing.json", "nothing.json cannot be read"),
        ("r.yaml --table people --sample .", ". cannot be read"),
        ("r.yaml --table other --sample good.json", "--key: the entry of the table 'other' names no"),
        ("r.yaml --table places --sample bad.json", "bad.json: item 2: attribute 'id': a value of"),
        ("r.yaml --table places --sample plain.json", "plain.json: attribute 'id': a value is not"),
        ("r.yaml --table people --sample good.json", "good.json: the item has no attribute 'tenant'"),
        ("r.yaml --table people --sample r.yaml", "r.yaml: it is not JSON"),
    ],
)  # fmt: skip
def test_what_cannot_be_done(folder: Path, arguments: str, said: str) -> None:
    """A sentence that says what to do, and status 2; nothing on standard output."""
    (folder / "latin1.yaml").write_bytes(b"tables: {\xe9: {}}")
    (folder / "pattern.yaml").write_text("tables: {t*: {key: [id]}}")
    (folder / "good.json").write_text('{"id": {"N": "1"}}')
    (folder / "bad.json").write_text('[{"id": {"N": "1"}}, {"id": {"N": 1.5}}]')
    (folder / "plain.json").write_text('{"id": 1}')
    status, output, errors = run(*arguments.split())
    assert (status, output) == (2, "")
    assert said in errors
    assert "Traceback" not in errors


def test_a_file_with_a_byte_order_mark_is_read(folder: Path) -> None:
    """Some shells write it."""
    (folder / "bom.json").write_bytes(b'\xef\xbb\xbf{"id": {"S": "1"}, "region": {"S": "eu"}}')
    assert run("r.yaml", "--table", "places", "--sample", "bom.json")[0] == 0


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
    for option in ("--table", "--sample", "--key", "--database", "--json", "Exit status"):
        assert option in result.stdout


def test_the_schema_is_printed() -> None:
    """As it stands in the file of the repository."""
    result = CliRunner().invoke(app, ["config-schema"])
    assert (result.exit_code, result.stdout) == (0, schema_text())


def test_the_command_is_installed(folder: Path) -> None:
    """Beside the Python that runs this, and in any directory; a narrow encoding is no obstacle."""
    (folder / "item.json").write_text('{"id": {"S": "\u2603"}, "region": {"S": "eu"}}', encoding="utf-8")
    arguments = ["check-config", "r.yaml", "--table", "places", "--sample", "item.json"]
    command = Path(sys.executable).with_name("replicator")
    done = subprocess.run(  # noqa: S603 - our own command
        [command, *arguments],
        env={"PYTHONIOENCODING": "ascii", "PYTHONPYCACHEPREFIX": str(folder)},
        capture_output=True,
        check=True,
        text=True,
    )
    assert '"_id": "\\u2603"' in done.stdout
