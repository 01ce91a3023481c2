"""Which tables a person's own mapping needs, with the items that go into each."""

import gzip
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from local.errors import StackError
from local.own_tables.items import Item, ItemError, distinct, key_types, read_items, sample_items
from local.own_tables.mapping import DEFAULT_KEY, Checked, Entry

ENDINGS: Final = (".json", ".jsonl", ".ndjson")
"""Of the files that a folder of data can have; each also with `.gz` at the end."""


@dataclass(frozen=True)
class OwnTable:
    """A table to make.

    Attributes:
        name: Its name.
        entry: The entry of the mapping that it follows.
        key: Name -> type (S, N or B) of the partition key, then of the sort key.
        items: What to put into it; no two with one key.
        is_sample: Whether the items are made up.
    """

    name: str
    entry: Entry
    key: dict[str, str]
    items: Sequence[Item]
    is_sample: bool


def tables_of(checked: Checked, data: Path | None) -> list[OwnTable]:
    """The tables of all entries. An entry without data gets a table with items that are made up.

    Args:
        checked: The mapping. The table of a pattern `orders-*` is `orders-1`, unless there is data.
        data: A file, or a folder of files that have the names of their tables; None: there is no data.

    Raises:
        StackError: The mapping has no entries; data cannot be read, fits no entry, or lacks the key.
    """
    if not checked.entries:
        raise StackError("The mapping names no tables, so there are none to create.")
    found: dict[str, list[Item]] = {}
    for file in _files(data) if data else ():
        table = _table_of(checked, file)
        try:
            found.setdefault(table, []).extend(read_items(_text_of(file)))
        except ItemError as error:
            raise StackError(f"{file}: {error}.") from error
    tables = [_table(table, _entry_of(checked, table), items) for table, items in found.items()]
    filled = {each.entry.name for each in tables}
    tables += [_sample_table(entry) for name, entry in checked.entries.items() if name not in filled]
    return sorted(tables, key=lambda each: each.name)


def _files(data: Path) -> Iterator[Path]:
    if data.is_file():
        yield data
        return
    if not data.is_dir():
        raise StackError(f"DATA={data}: there is no such file or folder.")
    found = [each for each in sorted(data.iterdir()) if each.name.removesuffix(".gz").endswith(ENDINGS)]
    if not found:
        raise StackError(
            f"DATA={data}: this folder has no file that ends with {', '.join(ENDINGS)}, or .gz after it."
        )
    yield from found


def _text_of(file: Path) -> str:
    try:
        content = file.read_bytes()
        return (gzip.decompress(content) if file.suffix == ".gz" else content).decode("utf-8-sig")
    except OSError as error:
        raise StackError(f"{file} cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, EOFError) as error:
        raise StackError(f"{file} cannot be read: {error}") from error


def _table_of(checked: Checked, file: Path) -> str:
    """The table that a file is named after; else the only one that there is."""
    stem = file.name.removesuffix(".gz")
    for ending in ENDINGS:
        stem = stem.removesuffix(ending)
    if checked.entry_of(stem):
        return stem
    if len(checked.entries) == 1 and not next(iter(checked.entries.values())).is_pattern:
        return next(iter(checked.entries))
    names = _listed(checked.entries)
    raise StackError(
        f"{file}: no entry of the mapping is for a table {stem!r}; there are {names}. Name the file after "
        "its table."
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def _entry_of(checked: Checked, table: str) -> Entry:
    return next(each for each in (checked.entry_of(table),) if each)


def _table(name: str, entry: Entry, items: Sequence[Item]) -> OwnTable:
    key = entry.key or DEFAULT_KEY
    try:
        types = key_types(key, items)
    except ItemError as error:
        advice = (
            ""
            if entry.key
            else f" The entry {entry.name} names no key: add one, such as key: [customer, number]."
        )
        raise StackError(f"The data for the table {name}: {error}.{advice}") from error
    return OwnTable(name, entry, types, distinct(key, items), is_sample=False)


def _sample_table(entry: Entry) -> OwnTable:
    key = entry.key or DEFAULT_KEY
    items = sample_items(key, entry.settings)
    name = f"{entry.name[:-1] or 'table-'}1" if entry.is_pattern else entry.name
    return OwnTable(name, entry, key_types(key, items), items, is_sample=True)
