from pathlib import Path

import pytest

from local.errors import StackError
from local.own_tables.mapping import Checked, InvalidMappingError, changes, check
from local.own_tables.tables import tables_of
from tests.support.commands import replicator

VALID = """\
tables:
  orders: {key: [customer, number], fields: {total: {convert: decimal}}}
  logs-*: {}
  logs-old-*: {collection: old-*}
"""


@pytest.fixture
def valid(tmp_path: Path) -> Checked:
    return check(written(tmp_path, VALID))


def written(folder: Path, text: str) -> Path:
    file = folder / "my.yaml"
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    "text", ["tables: {a: {mode: Merge}, b: {keys: [x]}}", "tables: [", "tables: {a: {hook: 'no:such'}}"]
)
def test_mistakes_are_told_as_the_command_tells_them(tmp_path: Path, text: str) -> None:
    """The same sentences, all at once."""
    file = written(tmp_path, text)
    with pytest.raises(InvalidMappingError) as caught:
        check(file)
    assert str(caught.value).splitlines() == replicator("check-config", str(file)).out.splitlines()


def test_a_file_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    """It is named."""
    with pytest.raises(StackError, match=r"none.yaml cannot be read: No such file"):
        check(tmp_path / "none.yaml")


def test_hooks_beside_the_file_are_found(tmp_path: Path) -> None:
    """As the writer finds them, which runs in the same folder."""
    (tmp_path / "shop_hooks.py").write_text("def keep(document, change):\n    return document\n")
    assert check(written(tmp_path, "tables: {a: {hook: 'shop_hooks:keep'}}")).entries["a"].settings["hook"]


def test_the_entry_of_a_table(valid: Checked) -> None:
    """The exact name comes first, then the longest beginning."""
    names = {
        table: entry.name for table in ("orders", "logs-old-1", "logs-1") if (entry := valid.entry_of(table))
    }
    assert names == {"orders": "orders", "logs-old-1": "logs-old-*", "logs-1": "logs-*"}
    assert valid.entry_of("others") is None
    assert valid.entries["logs-old-*"].collection_of("logs-old-7") == "old-7"


def test_the_exact_name_comes_first(tmp_path: Path) -> None:
    """Also where a pattern is longer by its star."""
    entry = check(written(tmp_path, "tables: {logs-*: {}, logs-: {}}")).entry_of("logs-")
    assert entry is not None
    assert entry.name == "logs-"


def test_what_an_edit_changed(tmp_path: Path, valid: Checked) -> None:
    """One sentence for each setting; comments are none."""
    edited = VALID.replace("decimal", "double").replace("  logs-*: {}\n", "  people: {}\n")
    assert changes(valid, check(written(tmp_path, edited))) == [
        "logs-*: the entry is gone",
        'orders: fields.total.convert: "decimal" -> "double"',
        "people: a new entry",
    ]
    assert changes(valid, check(written(tmp_path, f"# mine\n{VALID}"))) == []


def test_each_entry_has_a_table(valid: Checked) -> None:
    """Without data their items are made up, and a pattern gets a table whose name fits."""
    tables = {each.name: each for each in tables_of(valid, None)}
    assert tables.keys() == {"orders", "logs-1", "logs-old-1"}
    assert (tables["orders"].key, tables["logs-1"].key) == ({"customer": "S", "number": "S"}, {"id": "S"})
    assert all(each.is_sample and len(each.items) == 3 for each in tables.values())


def test_data_goes_to_the_tables_that_its_files_are_named_after(tmp_path: Path, valid: Checked) -> None:
    """Other files of a folder are left alone; entries without data get made-up items."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "orders.jsonl").write_text('{"customer": "ada", "number": 1}\n{"customer": "ada", "number": 1}\n')
    (data / "logs-7.json").write_text('[{"id": {"S": "x"}}]')
    (data / "notes.txt").write_text("mine")
    tables = {each.name: each for each in tables_of(valid, data)}
    assert {name: (len(each.items), each.is_sample) for name, each in tables.items()} == {
        "orders": (1, False),
        "logs-7": (1, False),
        "logs-old-1": (3, True),
    }
    assert tables["orders"].key == {"customer": "S", "number": "N"}


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("people.json", "{}", "no entry of the mapping is for a table 'people'; there are "),
        ("orders.json", "{}", "item 1 has no attribute 'customer'"),
        ("logs-1.json", '{"key": "x"}', r"no attribute 'id'.* The entry logs-\* names no key: add one"),
        ("orders.json", "nope", "orders.json: line 1 is not JSON"),
        ("orders.json.gz", "nope", "cannot be read"),
        ("", "", "there is no such file or folder"),
    ],
)
def test_data_that_does_not_fit_is_a_sentence(
    tmp_path: Path, valid: Checked, name: str, text: str, why: str
) -> None:
    """It names the file, and what is missing."""
    file = tmp_path / (name or "none")
    if name:
        file.write_text(text)
    with pytest.raises(StackError, match=why):
        tables_of(valid, file)


def test_a_mapping_without_tables_makes_none(tmp_path: Path) -> None:
    """It says so."""
    with pytest.raises(StackError, match="names no tables"):
        tables_of(check(written(tmp_path, "tables: {}")), None)
