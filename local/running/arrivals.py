"""What arrives in MongoDB while a run goes on, shown as tables; and new dead letters."""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

import pymongo

from local.screen.console import Screen
from local.screen.documents import METADATA, Document, as_table

MOST_SHOWN: Final = 5
"""Documents of a collection in one table: those that changed last."""

INTERVAL_S: Final = 0.5
"""Seconds from one look to the next. What has not changed since the last look is shown."""


@dataclass(frozen=True)
class Place:
    """Where a table's documents go.

    Attributes:
        table: The DynamoDB table.
        metadata: The field with the documents' version.
        key: The table's key attributes.
    """

    table: str
    database: str
    collection: str
    metadata: str = METADATA
    key: Sequence[str] = ()


@dataclass(frozen=True)
class Seen:
    """What a collection holds: how many documents, and those that changed last, the last one first."""

    count: int
    latest: Sequence[Document]


class Arrivals:
    """The collections of a run, in a `with` block of its client."""

    def __init__(
        self,
        client: pymongo.MongoClient[Document],
        places: Sequence[Place],
        screen: Screen,
        *,
        dead_letters: Callable[[], int],
        listing: str,
    ) -> None:
        """Look at nothing yet.

        Args:
            client: Of the MongoDB.
            places: The collections.
            screen: Where to show them.
            dead_letters: Counts the dead letters.
            listing: The command that lists them.
        """
        self._client, self._screen, self._listing = client, screen, listing
        self.dead_letters = dead_letters
        self.places = list(places)
        self._shown: dict[Place, Seen] = {}
        self._before: dict[Place, Seen] = {}
        self._letters = 0
        self._next_look = 0.0

    def count(self, place: Place) -> int:
        """How many documents a collection has."""
        return self._client[place.database][place.collection].count_documents({})

    def skip(self) -> None:
        """Take all that is there for shown."""
        self._shown = {place: self._look(place) for place in self.places}
        self._letters = self.dead_letters()

    def show(self, tables: Collection[str]) -> None:
        """Show the collections of these tables now."""
        for place in self.places:
            if place.table in tables:
                self._show(place, self._look(place))

    def check(self) -> None:
        """Show what has changed, once it has stopped changing; called often, it looks twice a second."""
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + INTERVAL_S
        for place in self.places:
            seen = self._look(place)
            if seen != self._shown.get(place) and seen == self._before.get(place):
                self._screen.say()
                self._show(place, seen)
            self._before[place] = seen
        if (number := self.dead_letters()) != self._letters:
            more = number > self._letters
            self._letters = number
            advice = f" `{self._listing}` says why." if more else ""
            self._screen.say(f"\nDead letters: {number}.{advice}")

    def _look(self, place: Place) -> Seen:
        collection = self._client[place.database][place.collection]
        latest = collection.find().sort([(f"{place.metadata}.v", -1), ("_id", 1)]).limit(MOST_SHOWN)
        return Seen(collection.count_documents({}), list(latest))

    def _show(self, place: Place, seen: Seen) -> None:
        self._shown[place] = seen
        rest = f", the last {MOST_SHOWN} to change" if seen.count > MOST_SHOWN else ""
        arrow = self._screen.arrow
        documents = "1 document" if seen.count == 1 else f"{seen.count} documents"
        self._screen.say(f"{place.table} {arrow} {place.database}.{place.collection}: {documents}{rest}")
        if seen.latest:
            ordered = sorted(seen.latest, key=lambda each: repr(each["_id"]))
            self._screen.table(*as_table(ordered, place.metadata, self._screen.width, place.key))
