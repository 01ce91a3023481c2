"""Whether the mapping file is valid, fits the tables, and is the one that the writers use.

Law: it reads the file and what writers have recorded; it never guesses which mapping writers have.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ops.doctor.findings import Finding, not_well, unknown, well
from shared.errors import PoisonError
from writer.mapping.fingerprint import fingerprint_of
from writer.mapping.hooks import load_hooks
from writer.mapping.model import WILDCARD, Replication
from writer.mapping.parser import parse_replication
from writer.mapping.problems import MappingError
from writer.mapping.rules import Rules

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ops.doctor.tables import Tables
    from writer.records import Found, MappingRecord

_GIVE_FILE = "Give --replication-file (REPLICATION_FILE): the file that the writers use."


class MappingFile:
    """A mapping, as far as it can be read.

    Attributes:
        replication: its content; None: it cannot be read.
        rules: likewise, with hooks.
        findings: about the file itself.
    """

    def __init__(self, path: str, database: str) -> None:
        self.path = path
        self.replication: Replication | None = None
        self.rules: Rules | None = None
        self.findings: list[Finding] = []
        if not path:
            text = "Cannot check the mapping: no file is given."
            self.findings.append(unknown("mapping", text, _GIVE_FILE))
            return
        try:
            text = Path(path).read_text(encoding="utf-8-sig")
            replication = parse_replication(text, path)
            sys.path.insert(0, str(Path.cwd()))
            with contextlib.redirect_stdout(sys.stderr):  # what hooks print is not the command's result
                self.rules = Rules(replication, load_hooks(replication), database)
            self.replication = replication
        except OSError as error:
            text = f"The mapping {path} cannot be read: {error.strerror or error}."
            self.findings.append(not_well("mapping", text, _GIVE_FILE))
        except UnicodeDecodeError:
            text = f"The mapping {path} cannot be read: it is not UTF-8."
            self.findings.append(not_well("mapping", text, "Save it as UTF-8."))
        except MappingError as error:
            self.findings += [
                not_well(
                    "mapping", f"{path}: {mistake}.", "Correct it: replicator check-config shows all of it."
                )
                for mistake in error.mistakes
            ]
        else:
            self.findings.append(well("mapping", f"The mapping {path} is valid."))

    def databases(self, default: str) -> list[str]:
        """The databases that are written to, the default one first; empty: it is not known."""
        named = sorted(self.replication.databases) if self.replication else []
        return list(dict.fromkeys([default, *named])) if default else []

    def places(self, tables: Tables) -> list[tuple[str, str]]:
        """Database and collection of the tables that are known; an empty database is the default one."""
        found = []
        for name in tables.names or ():
            with contextlib.suppress(PoisonError):
                rules = (self.rules or Rules(Replication())).table(name)
                found.append((rules.database or "", rules.collection))
        return found


def judge_tables(file: MappingFile, tables: Tables) -> Iterator[Finding]:
    """Compares what the file names with the tables that are replicated."""
    if file.replication is None or file.rules is None or tables.names is None:
        return
    fits = True
    for name in tables.names:
        try:
            key = file.rules.table(name).rule.key
        except PoisonError as error:
            text = f"Changes of the table {name} are parked: {error.reason}."
            yield not_well("mapping-tables", text, f"Name the table in {file.path}: replicator init {name}.")
            fits = False
            continue
        if problem := _key_problem(name, key, tables.keys):
            yield problem
            fits = False
    named = [name for name in file.replication.tables if WILDCARD not in name]
    for name in sorted(set(named) - set(tables.names)):
        text = f"{file.path} names the table {name}, which the function does not read."
        yield not_well(
            "mapping-tables", text, "Add its stream's ARN to TableStreamArns, or remove it from the file."
        )
        fits = False
    if fits and tables.names:
        yield well("mapping-tables", f"{file.path} matches the replicated tables.")


def judge_recorded(
    file: MappingFile, tables: Tables, recorded: Found[MappingRecord] | None, why_not: str, database: str
) -> Iterator[Finding]:
    """Compares the file with what the writers have recorded.

    Args:
        file: the file.
        tables: those that are replicated; where they are not known, those that the file names are compared.
        recorded: what is recorded; None: not known.
        why_not: why it is not known.
        database: of tables that name none.
    """
    if file.rules is None or file.replication is None:
        return
    if recorded is None:
        text = f"Cannot tell whether the writers use {file.path}: {why_not}."
        yield unknown("mapping-recorded", text, "Run this again when MongoDB answers.")
        return
    by_table = {each.table: each for each in sorted(recorded.records, key=lambda each: each.started)}
    named = by_table.keys() & file.replication.tables
    names = sorted(named) if tables.names is None else tables.names
    taken = [name for name in names if _takes(file.rules, name)]  # others are findings already
    found = [_recorded_problem(file, file.rules, name, by_table.get(name), database) for name in taken]
    yield from filter(None, found)
    if recorded.odd:
        total = len(recorded.records) + recorded.odd
        text = (
            f"Cannot tell which rules the writers use: {recorded.odd:,} of {total:,} records cannot be read."
        )
        advice = (
            "Start a writer, which records its rules again; delete records that stay unreadable from "
            "_replicator_mappings."
        )
        yield unknown("mapping-recorded", text, advice)
    elif found and not any(found):
        yield well("mapping-recorded", f"The writers use the rules of {file.path}.")
    elif not found:
        text = f"Cannot tell whether the writers use {file.path}: they have recorded none of its tables."
        yield unknown("mapping-recorded", text, "Start a writer with this queue and database.")


def _takes(rules: Rules, name: str) -> bool:
    try:
        rules.table(name)
    except PoisonError:
        return False
    return True


def _recorded_problem(
    file: MappingFile, rules: Rules, name: str, record: MappingRecord | None, database: str
) -> Finding | None:
    if record is None:
        return unknown(
            "mapping-recorded",
            f"Cannot tell which rules the writers use for the table {name}: none has recorded them.",
            "Start a writer with this queue and database.",
        )
    ours = fingerprint_of(rules.table(name), database).hash
    if ours == record.hash:
        return None
    return not_well(
        "mapping-recorded",
        f"The writers use different rules for the table {name} ({record.hash}, since "
        f"{record.since:%Y-%m-%d %H:%M} UTC) from those of {file.path} ({ours}).",
        "Give the file that the writers use, or restart the writers with this one.",
    )


def _key_problem(name: str, key: Sequence[str], keys: Mapping[str, Sequence[str]]) -> Finding | None:
    found = keys.get(name)
    if found is None or not key or set(key) == set(found):
        return None
    ours, theirs = ", ".join(key), ", ".join(found)
    return not_well(
        "mapping-tables",
        f"The key of the table {name} is [{theirs}], but the mapping says [{ours}]: its changes are parked.",
        f"Write key: [{theirs}].",
    )
