"""A person's own mapping: checked as `replicator check-config` checks it, and the tables that it needs.

The command is run, not imported: the stack runs the two sides and the command, and knows none of them.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from local.errors import StackError
from local.processes.child import base_environment

DEFAULT_KEY: Final = ("id",)
"""The key of a table whose entry names none."""

WILDCARD: Final = "*"


@dataclass(frozen=True)
class Entry:
    """An entry of the mapping.

    Attributes:
        name: The table, or the pattern.
        key: Its key attributes; empty: the entry names none.
        database: The target database; empty: that of the writer's settings.
        collection: The target collection; of a pattern perhaps with a `*`.
        settings: All its settings, defaults included.
    """

    name: str
    key: tuple[str, ...]
    database: str
    collection: str
    settings: Mapping[str, Any]

    @property
    def is_pattern(self) -> bool:
        """Whether it stands for all tables whose names begin so."""
        return self.name.endswith(WILDCARD)

    def fits(self, table: str) -> bool:
        """Whether this is the table's entry, unless there is a longer one."""
        return table.startswith(self.name[:-1]) if self.is_pattern else table == self.name

    def collection_of(self, table: str) -> str:
        """The collection of a table that the entry fits."""
        return (
            self.collection.replace(WILDCARD, table[len(self.name) - 1 :])
            if self.is_pattern
            else self.collection
        )


@dataclass(frozen=True)
class Checked:
    """A mapping that is valid.

    Attributes:
        text: The text of the file that was checked.
        entries: By name.
        unnamed_tables: What becomes of the other tables: "replicate" or "refuse".
        warnings: Sentences about rules without effect.
    """

    text: str
    entries: Mapping[str, Entry]
    unnamed_tables: str
    warnings: Sequence[str]

    def entry_of(self, table: str) -> Entry | None:
        """The entry that a table follows: the exact name comes first, then the longest beginning."""
        fitting = [each for each in self.entries.values() if each.fits(table)]
        return max(fitting, key=lambda each: (not each.is_pattern, len(each.name)), default=None)


class InvalidMappingError(StackError):
    """The file is not valid. The message has the sentences of `replicator check-config`."""


def check(file: Path) -> Checked:
    """Check a mapping file. Hooks are imported from its folder.

    Raises:
        InvalidMappingError: It is not valid, or cannot be read.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InvalidMappingError(f"{file} cannot be read: {why}") from error
    done = subprocess.run(
        [sys.executable, "-m", "ops", "check-config", "-", "--json"],
        input=text,
        cwd=file.absolute().parent,
        env=base_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        raise InvalidMappingError(f"{file} cannot be checked: {done.stderr.strip()}") from None
    parked = [each for each in answer.get("tables", ()) if "parked" in each]
    sentences = [_sentence(str(file), each) for each in answer["problems"]]
    sentences += [f"{file}: tables.{each['name']}: {each['parked']['reason']}" for each in parked]
    if sentences:
        raise InvalidMappingError("\n".join(sentences))
    entries = {each["name"]: _entry(each) for each in answer["tables"]}
    warnings = [_sentence(str(file), each) for each in answer["warnings"]]
    return Checked(text, entries, answer["unnamed_tables"], warnings)


def _entry(table: Mapping[str, Any]) -> Entry:
    return Entry(
        name=table["name"],
        key=tuple(table["settings"]["key"]),
        database=table["database"] or "",
        collection=table["collection"],
        settings=table["settings"],
    )


def _sentence(file: str, problem: Mapping[str, Any]) -> str:
    """As the command prints it."""
    place = [str(each) for each in (problem["line"], problem["column"]) if each]
    setting = f"{problem['setting']}: " if problem["setting"] else ""
    return f"{':'.join([file, *place])}: {setting}{problem['text']}"


def changes(before: Checked, after: Checked) -> list[str]:
    """What an edit changed, one sentence for each setting. Pure."""
    sentences = []
    if before.unnamed_tables != after.unnamed_tables:
        sentences.append(f"unnamed_tables: {before.unnamed_tables} -> {after.unnamed_tables}")
    for name in sorted(before.entries.keys() | after.entries.keys()):
        if name not in after.entries:
            sentences.append(f"{name}: the entry is gone")
        elif name not in before.entries:
            sentences.append(f"{name}: a new entry")
        else:
            old, new = (_flat(each.entries[name].settings) for each in (before, after))
            sentences += [
                f"{name}: {setting}: {_shown(old, setting)} -> {_shown(new, setting)}"
                for setting in sorted(old.keys() | new.keys())
                if _shown(old, setting) != _shown(new, setting)
            ]
    return sentences


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings by their names; those of a field by the field's path, too."""
    fields = settings["fields"].items()
    rules = {f"fields.{path}.{rule}": value for path, each in fields for rule, value in each.items()}
    return {name: value for name, value in settings.items() if name != "fields"} | rules


def _shown(settings: Mapping[str, Any], setting: str) -> str:
    return json.dumps(settings[setting], ensure_ascii=False) if setting in settings else "none"
