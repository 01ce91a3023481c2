"""Whether a command's mapping is the one that the writers replicate by. Pure.

Law: another mapping than theirs, or none, is refused before anything is read or written. That no writer has
recorded one is an answer of its own, "unknown".
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from shared.errors import FatalError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from writer.records import Fingerprint, Found, MappingRecord

_MOST_NAMED = 8  # differences in a sentence

_AWS_QUEUE = re.compile(
    r"https://(?:[a-z0-9.-]+\.)?sqs(?:-fips)?\.(?P<region>[a-z0-9-]+)\.(?:vpce\.)?amazonaws\.com(?:\.cn)?/"
).match

_ASK_FOR_FILE = "give the writers' mapping file with --replication-file (or REPLICATION_FILE)"
_AS_THEY_ARE = "--no-mapping to copy items unchanged"


@dataclass(frozen=True, slots=True)
class GivenMapping:
    """The mapping that the options of a command say.

    Attributes:
        table: whose rules.
        file: its path; empty: none is given.
        is_none: `--no-mapping`: a person says that there is none.
        fingerprint: the effective rules.
        namespace: database and collection that they lead to.
    """

    table: str
    file: str
    is_none: bool
    fingerprint: Fingerprint
    namespace: str

    @property
    def words(self) -> str:
        """File and hash."""
        what = f"the mapping {self.file}" if self.file else "no mapping"
        return f"{what} (hash {self.fingerprint.hash})"


@dataclass(frozen=True, slots=True)
class ComparedMapping:
    """A mapping beside what the writers have recorded.

    Attributes:
        given: what the command goes by.
        recorded: what the writers go by; None: it is not known.
        lines: what to tell the person, the mapping first.
        why_unknown: why it is not known what the writers go by; empty: it is.
        regions: where the queues of the writers are that replicate into the same collection, as far as their
            URLs say.
    """

    given: GivenMapping
    recorded: MappingRecord | None
    lines: Sequence[str] = field(default=())
    why_unknown: str = ""
    regions: frozenset[str] = frozenset()

    @property
    def is_known(self) -> bool:
        """Whether it is known what the writers replicate by."""
        return self.recorded is not None

    @property
    def is_theirs(self) -> bool:
        """Whether it is known to be what the writers replicate by: nobody needs to be asked."""
        return self.recorded is not None and self.recorded.hash == self.given.fingerprint.hash

    @property
    def data(self) -> dict[str, Any]:
        """It, for `--json`: `recorded` is null where it is not known."""
        recorded = self.recorded
        return {
            "file": self.given.file or None,
            "hash": self.given.fingerprint.hash,
            "recorded": None
            if recorded is None
            else {
                "hash": recorded.hash,
                "since": recorded.since.isoformat(timespec="seconds"),
                "version": recorded.version or None,
                "queue": recorded.queue,
            },
        }


def compare(given: GivenMapping, found: Found[MappingRecord], database: str) -> ComparedMapping:
    """Compares a mapping with the records of its table.

    Args:
        given: that of the command.
        found: the records of the table.
        database: the one that was searched for them.

    Raises:
        FatalError: the writers go by another mapping, or it is not said which one the command goes by.
    """
    recorded = _decisive(given, found.records)
    regions = _regions_of(each for each in found.records if each.namespace == given.namespace)
    first = f"Mapping of {given.table}: {given.words}."
    is_equal = recorded is not None and recorded.hash == given.fingerprint.hash
    if recorded is None or (is_equal and found.odd):
        why = _why_unknown(given.table, found, database)
        if not given.file and not given.is_none:
            raise FatalError(f"no mapping is given, and {why}: {_ASK_FOR_FILE}, or {_AS_THEY_ARE}")
        lines = (first, f"The mapping of the writers is unknown: {why}.")
        return ComparedMapping(given, None, lines, why, regions)
    if is_equal:
        line = f"{first[:-1]}, that of the writers since {recorded.since:%Y-%m-%d %H:%M} UTC."
        return ComparedMapping(given, recorded, (line,), regions=regions)
    theirs = (
        f"the writers use a different one for {given.table} (hash {recorded.hash}, since "
        f"{recorded.since:%Y-%m-%d %H:%M} UTC, version {recorded.version or 'unknown'}); "
        f"they differ in {_named(differences(given.fingerprint.rules, recorded.rules))}"
    )
    if given.is_none:
        warning = f"Warning: --no-mapping is given, but {theirs}."
        return ComparedMapping(given, recorded, (first, warning), regions=regions)
    otherwise = "start the writers with this one first" if given.file else _AS_THEY_ARE
    raise FatalError(f"{given.words} is given, but {theirs}: {_ASK_FOR_FILE}, or {otherwise}")


def _decisive(given: GivenMapping, records: Sequence[MappingRecord]) -> MappingRecord | None:
    """Of the collection's records the one whose writer started last; else that of another collection."""
    place = [each for each in records if each.namespace == given.namespace]
    return max(place or records, key=lambda each: each.started, default=None)


def owner_problem(given: GivenMapping, records: Iterable[MappingRecord]) -> str | None:
    """Why the collection of a command is not one of its table: writers fill it from another table alone.

    Args:
        given: the mapping of the command.
        records: those of all tables.
    """
    tables = {each.table for each in records if each.namespace == given.namespace}
    if not tables or given.table in tables:
        return None
    return (
        f"the writers fill the collection {given.namespace} from {' and '.join(sorted(tables))}, and have "
        f"recorded nothing for {given.table}: check the table's name and the mapping, or start the writers "
        "with this one first"
    )


def owner_doubt(given: GivenMapping, everybody: Found[MappingRecord]) -> str | None:
    """As `owner_problem`, which found nothing: whether what cannot be read could say otherwise."""
    if not everybody.odd or any(each.namespace == given.namespace for each in everybody.records):
        return None
    return (
        f"Cannot tell whether the writers fill {given.namespace} from another table: of "
        f"{len(everybody.records) + everybody.odd:,} records, {everybody.odd:,} cannot be read."
    )


def _regions_of(records: Iterable[MappingRecord]) -> frozenset[str]:
    return frozenset(match["region"] for each in records if (match := _AWS_QUEUE(each.queue)))


def region_problem(table: str, region: str, regions: Collection[str]) -> str | None:
    """Why a table cannot be the one that the writers replicate: stream, Lambda and queue are in one region.

    Args:
        table: its name.
        region: where it is; empty: not known.
        regions: where the writers' queues are; empty: not known.
    """
    if not region or not regions or region in regions:
        return None
    theirs = " or ".join(sorted(regions))
    return (
        f"the table {table} is in {region}, but the writers that replicate a table of this name drain a "
        "queue "
        f"in {theirs}: give --region {theirs} (AWS_REGION)"
    )


def _why_unknown(table: str, found: Found[MappingRecord], database: str) -> str:
    if found.records:
        total = len(found.records) + found.odd
        return f"{found.odd:,} of {total:,} records of {table} in the database {database} cannot be read"
    if found.odd:
        return f"what the database {database} has recorded for {table} cannot be read"
    return f"no writer has recorded one for {table} in the database {database}"


def differences(one: str, other: str) -> list[str]:
    """The rules that differ between two texts of rules, as paths such as ``fields.created.convert``."""
    return sorted(set(_differences(json.loads(one), json.loads(other), ())))


def _differences(one: Any, other: Any, path: tuple[str, ...]) -> Iterator[str]:
    if one == other and type(one) is type(other):
        return
    if isinstance(one, dict) and isinstance(other, dict) and len(path) < 3:  # noqa: PLR2004 - fields.PATH.RULE
        for name in one.keys() | other.keys():
            yield from _differences(one.get(name), other.get(name), (*path, name))
    elif path == ("fields",) and isinstance(found := one if other is None else other, dict):
        yield from (f"fields.{name}" for name in found)
    else:
        yield ".".join(path)


def _named(paths: Sequence[str]) -> str:
    if not paths:
        return "details unknown to this version"
    shown = [json.dumps(path, ensure_ascii=True)[1:-1] for path in paths[:_MOST_NAMED]]
    more = len(paths) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def key_problem(table: str, wanted: Sequence[str], key: Sequence[str]) -> str | None:
    """Returns what is wrong with the `key` of a table's rules.

    Args:
        table: the name of the table.
        wanted: what the mapping says; empty: nothing.
        key: the key attributes that the table has, partition key first.
    """
    if not wanted or set(wanted) == set(key):
        return None
    return (
        f"the mapping says that the key of {table} is {', '.join(wanted)}, but its key attributes are "
        f"{', '.join(key)}: set key: [{', '.join(key)}] in the mapping, or leave it out"
    )
