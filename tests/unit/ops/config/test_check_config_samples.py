"""`replicator check-config --sample`: what would become of items, each as the writer would have it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.checked_mapping import run

pytestmark = pytest.mark.usefixtures("folder")

PERSON = {
    "tenant": {"S": "t"},
    "id": {"N": "7"},
    "first": {"S": "Jo\u00e9"},
    "created_at": {"N": "1588166542.5"},
}

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


def sample(*items: dict[str, Any]) -> str:
    Path("items.json").write_text(json.dumps({"Items": items}))
    return "items.json"


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
    assert (status, output) == (0, f"r.yaml is valid.\n\n{PLACE}")


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
    assert (data["file"], data["valid"], data["problems"]) == ("r.yaml", False, [])
    (table,) = data["tables"]
    assert (table["name"], table["entry"]) == ("people", "people")
    assert (table["database"], table["collection"]) == ("crm", "customers")
    assert table["settings"]["fields"]["age"] == {"default": None}
    assert table["settings"]["mode"] == "merge"
    document, parked, nothing = data["items"]
    assert document["document"]["created_at"] == {"$date": "2020-04-29T13:22:22.500Z"}
    assert parked == {"parked": {"code": "hook-failed", "reason": "the hook raised ValueError: so it is"}}
    assert nothing == {"database": "crm", "collection": "customers", "document": None}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("nothing.yaml", "nothing.yaml cannot be read: No such file"),
        (".", ". cannot be read: Is a directory"),
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
