"""The rules of each table: `replication.yaml` with its patterns resolved and its hooks loaded. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from shared.change import Change
from shared.errors import PoisonError
from writer.mapping.conversions import Conversion
from writer.mapping.fields import Fields
from writer.mapping.hooks import Hook
from writer.mapping.model import WILDCARD, Deletes, Replication, TableRule, UnnamedTables
from writer.mapping.problems import MappingError, Mistake
from writer.names import OURS, collection_problem

_FIVE_YEARS_MS: Final = 5 * 366 * 86_400 * 1000

MOST_UNNAMED = 100
"""Tables without an entry that one process replicates. Their names come from messages, and each is a
collection: MongoDB keeps files open for every one, and dies when it has no more."""

MOST_BY_PATTERN = 1_000
"""Tables that follow patterns. A pattern names them, but where its names end is up to the sender, too."""


@dataclass(frozen=True, slots=True)
class Table:
    """The rules of one table.

    Attributes:
        name: of the DynamoDB table.
        database: the target database; empty: that of the settings.
        collection: the target collection.
        rule: its entry in the file.
        may_deepen: its documents can be nested deeper than its items.
        can_mark: whether its documents can be marked as deleted.
        is_simple: whether there is neither a shard key nor a hook: a lone change is one operation, whatever
            is in it.
    """

    name: str
    database: str
    collection: str
    rule: TableRule
    fields: Fields
    hook: Hook | None
    may_deepen: bool
    can_mark: bool
    is_simple: bool

    @property
    def old_attributes(self) -> frozenset[str]:
        """Attributes whose old values these rules need: those of the shard key, and that of the time to live.

        A pipeline names them in `OLD_IMAGE_FIELDS`.
        """
        rule = self.rule
        found = set() if rule.ttl_attribute is None else {rule.ttl_attribute}
        if rule.shard_key:
            heads = {path.partition(".")[0] for path in rule.shard_key}
            found |= self.fields.attributes_of(heads)
            # They become fields with other names, which end with underscores as long as a name is taken.
            moved = {(rule.id_attribute or "_id").rstrip("_"), rule.metadata_field.rstrip("_")}
            if not moved.isdisjoint(head.rstrip("_") for head in heads):
                found |= {"_id", rule.metadata_field}
        return frozenset(found)

    def effect(self, change: Change) -> Deletes:
        """What a deletion does."""
        if self.rule.ttl_deletes is not None and (change.ttl or self._had_expired(change)):
            return self.rule.ttl_deletes
        return self.rule.deletes

    def _had_expired(self, change: Change) -> bool:
        """Whether the item's time to live was over when it was deleted.

        A deletion by time to live that comes from another region of a global table looks like any other: its
        record has no `userIdentity` (AWS, "Time to Live and global tables"). The same page: DynamoDB does not
        delete what expired more than five years ago.
        """
        if self.rule.ttl_attribute is None or change.at is None or change.old is None:
            return False
        expiry = change.old.get(self.rule.ttl_attribute)
        if isinstance(expiry, bool) or not isinstance(expiry, int | float | Decimal):
            return False
        return change.at - _FIVE_YEARS_MS < expiry * 1000 <= change.at


class Rules:
    """The rules of all tables, including those without an entry."""

    def __init__(
        self,
        replication: Replication | None = None,
        hooks: Mapping[str, Hook] | None = None,
        database: str = "",
    ) -> None:
        """Resolves a file.

        Args:
            replication: its content; None: the defaults for every table.
            hooks: the functions of all hooks that it names (`writer.mapping.hooks.load_hooks`).
            database: the database of the settings, if known.

        Raises:
            MappingError: two tables go to one collection, now that the database is known.
        """
        self._replication = replication or Replication()
        self._hooks = hooks or {}
        self._database = database
        self._tables: dict[str, Table] = {}
        self._without_entry = {MOST_UNNAMED: 0, MOST_BY_PATTERN: 0}
        self._owners: dict[tuple[str, str], str] = {}
        mistakes = []
        for name, rule in self._replication.tables.items():
            if not name.endswith(WILDCARD):
                place = (self._database_of(rule), rule.collection or name)
                other = self._owners.setdefault(place, name)
                if other != name:
                    text = (
                        f"the tables {other!r} and {name!r} both go to the collection {place[1]!r} of the "
                        f"database {database!r}"
                    )
                    mistakes.append(Mistake(f"tables.{name}", text))
        if mistakes:
            raise MappingError(mistakes, "REPLICATION_FILE")

    @property
    def have_hooks(self) -> bool:
        """Whether the user's functions are called."""
        return bool(self._hooks)

    def fresh(self) -> "Rules":
        """The same rules, which have met no table yet."""
        return Rules(self._replication, self._hooks, self._database)

    @property
    def database(self) -> str:
        """The database of tables that name none; empty: not known."""
        return self._database

    @property
    def named(self) -> tuple[str, ...]:
        """The tables that the file names, patterns left out."""
        return tuple(name for name in self._replication.tables if not name.endswith(WILDCARD))

    @property
    def met(self) -> tuple[str, ...]:
        """The tables whose rules were asked for, in this order. It can be read while another thread asks."""
        return tuple(self._tables)

    def table(self, name: str) -> Table:
        """The rules of a table.

        Raises:
            PoisonError: ``bad-collection``: no collection can have its name, or another table has the
                collection. ``unnamed-table``: the file does not name it, and says that such ones are refused.
                ``too-many-tables``: so many without an entry of their own were replicated already.
        """
        table = self._tables.get(name)
        if table is None:
            table = self._tables[name] = self._make(name)
        return table

    def entry(self, name: str) -> tuple[str, TableRule]:
        """The entry of a table: its own, that of the longest pattern, or `*` with the defaults."""
        if name in self._replication.tables and not name.endswith(WILDCARD):
            return name, self._replication.tables[name]
        for pattern in self._replication.patterns:
            if name.startswith(pattern[:-1]):
                return pattern, self._replication.tables[pattern]
        return WILDCARD, _DEFAULT

    def _make(self, name: str) -> Table:
        if name.startswith(OURS):
            raise PoisonError("bad-collection", f"the table name {name!r} is reserved")
        entry, rule = self.entry(name)
        is_named = entry in self._replication.tables
        if not is_named and self._replication.unnamed_tables is UnnamedTables.REFUSE:
            raise PoisonError(
                "unnamed-table", f"the mapping does not name the table {name!r}, and refuses unnamed_tables"
            )
        collection = _collection(name, entry, rule)
        if problem := collection_problem(collection):
            raise PoisonError(
                "bad-collection", f"the collection name {collection!r} {problem}: name one in the mapping"
            )
        database = self._database_of(rule)
        owner = self._owner(database, collection)
        if owner != name:
            raise PoisonError(
                "bad-collection", f"the collection {collection!r} is that of the table {owner!r}"
            )
        if entry != name:
            self._count(MOST_BY_PATTERN if is_named else MOST_UNNAMED)
        return Table(
            name=name,
            database=database,
            collection=collection,
            rule=rule,
            fields=Fields(rule.fields, rule.include, rule.exclude, numbers=rule.numbers),
            hook=None if rule.hook is None else self._hooks[rule.hook],
            may_deepen=rule.hook is not None
            or any(field.convert is Conversion.JSON for field in rule.fields.values()),
            can_mark=Deletes.MARK in (rule.deletes, rule.ttl_deletes),
            is_simple=rule.hook is None and not rule.shard_key,
        )

    def _count(self, most: int) -> None:
        """Counts one more of the tables without an entry of their own, of which there are at most so many."""
        if self._without_entry[most] == most:
            raise PoisonError(
                "too-many-tables",
                f"{most} tables without an entry of their own are replicated already: name it in the mapping",
            )
        self._without_entry[most] += 1

    def _database_of(self, rule: TableRule) -> str:
        return "" if rule.database in (None, self._database) else str(rule.database)

    def _owner(self, database: str, collection: str) -> str:
        """The one table that may write to a collection: versions of two tables cannot be compared."""
        if (name := self._owners.get((database, collection))) is not None:
            return name
        for pattern in self._replication.patterns:
            rule = self._replication.tables[pattern]
            if self._database_of(rule) == database and rule.collection is not None:
                before, _, after = rule.collection.partition(WILDCARD)
                length = len(collection) - len(after)
                if length >= len(before) and collection.startswith(before) and collection.endswith(after):
                    name = pattern[:-1] + collection[len(before) : length]
                    if self.entry(name)[0] == pattern:
                        return name
        return collection


def _collection(name: str, entry: str, rule: TableRule) -> str:
    if rule.collection is None:
        return name
    if not entry.endswith(WILDCARD):
        return rule.collection
    return rule.collection.replace(WILDCARD, name[len(entry) - 1 :])


_DEFAULT = TableRule()
