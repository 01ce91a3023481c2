"""The dead letters that `follow` keeps in MongoDB, for `replicator dlq --mongodb`.

Law: a letter is changed or deleted only as it was seen. What is redriven is marked here, and applied by the
process that follows its table, which deletes it then.
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self, TypeVar

from ops.console.exit_status import CommandError, warn
from ops.console.terminal import count
from ops.queues.dead_letters import stored_letter
from writer.names import database_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence

    from ops.queues.actions import Outcome
    from ops.queues.dead_letters import Letter
    from ops.queues.selection import Selection
    from writer.mongodb.dead_letters import DeadLetters, Stored

T = TypeVar("T")

_POLL_SECONDS = 0.5


class StoredLetters:
    """The collection in MongoDB, with what commands need of a `QueueBrowser`.

    Attributes:
        marked: how many of the letters that were seen wait to be applied again.

    All methods raise `TransientError` if MongoDB does not answer, and `FatalError` if it refuses us.
    """

    def __init__(self, uri: str, database: str) -> None:
        """Connects when it is first used.

        Raises:
            CommandError: the target is not known.
        """
        if not uri or not database:
            raise CommandError(
                "no target is given: give --mongodb-uri (MONGODB_URI) and --mongodb-database "
                "(MONGODB_DATABASE)"
            )
        if problem := database_problem(database):
            raise CommandError(f"--mongodb-database: {database!r} {problem}")
        self._target = uri, database
        self._resources = ExitStack()
        self._stored: dict[str, Stored] = {}
        self._odd = 0
        self.marked = 0

    def __enter__(self) -> Self:
        self._runner = self._resources.enter_context(asyncio.Runner())
        self._letters = self._run(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    async def _open(self) -> DeadLetters:
        from writer.mongodb.dead_letters import DeadLetters  # noqa: PLC0415 - help does not wait for it
        from writer.mongodb.records import open_database  # noqa: PLC0415 - likewise

        return DeadLetters(self._resources.enter_context(open_database(*self._target)))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def count(self) -> int:
        """How many letters there are."""
        return self._run(self._letters.count())

    def selected(
        self,
        selection: Selection,
        limit: int | None = None,
        others: Callable[[list[Letter]], object] = list,  # noqa: ARG002 - as `QueueBrowser`
    ) -> Iterator[list[Letter]]:
        """The selected letters, at most `limit`, in the order of their ids."""
        left, after = limit or sys.maxsize, None
        while left and (page := self._run(self._letters.page(after))):
            after = page[-1]["_id"]
            letters: list[Letter] = []
            for each in page:
                letter = stored_letter(each)
                if letter is None:
                    self._odd += 1
                elif selection.matches(letter) and len(letters) < left:
                    letters.append(letter)
                    self._stored[letter.id] = {"_id": letter.id, "redrive": each.get("redrive")}
                    self.marked += each.get("redrive") is not None
            if letters:
                yield letters
            left -= len(letters)

    def delete(self, ids: Iterable[str]) -> dict[str, str]:
        """Deletes letters that were seen; returns why not, by id."""
        gone = {each: self._run(self._letters.delete(self._stored[each])) for each in ids}
        return {
            each: "it has changed meanwhile, or is gone" for each, was_there in gone.items() if not was_there
        }

    def mark(self, letters: Sequence[Letter], outcome: Outcome, *, force: bool) -> list[Letter]:
        """Marks letters that were seen, so that they are applied again; returns those that are marked now."""
        marked = []
        for letter in letters:
            if letter.unreadable and not force:
                outcome.kept[letter.id] = f"would be parked again: {letter.unreadable}"
            elif self._run(self._letters.mark(self._stored[letter.id])):
                marked.append(letter)
            else:
                outcome.kept[letter.id] = "it has changed meanwhile, or is gone"
        return marked

    def watch(self, marked: Sequence[Letter], outcome: Outcome, seconds: float) -> set[str]:
        """Waits until letters are applied; returns the ids of those that are still waiting.

        Args:
            marked: the letters.
            outcome: gets those that are applied, and those that came back.
            seconds: for how long at most. It does not wait for letters of tables that nobody follows.
        """
        ids, until = [each.id for each in marked], time.monotonic() + seconds
        followed = self._run(self._letters.followed())
        soon = {each.id for each in marked if followed & {each.table} or (followed and not each.table)}
        while True:
            found = self._run(self._letters.marks(ids))
            waiting = {each for each, stored in found.items() if "redrive" in stored}
            if not waiting & soon or time.monotonic() > until:
                break
            time.sleep(_POLL_SECONDS)
        made = self._run(self._letters.made_of(ids))
        again = {each: stored["reason"] for each, stored in found.items() if each not in waiting}
        outcome.returned |= again | {str(each["_id"]): str(each.get("reason", "")) for each in made}
        back = {str(each["message_id"]) for each in made} | again.keys()
        outcome.done += len(set(ids) - waiting - back)
        return waiting

    def unfollowed(self, letters: Iterable[Letter]) -> list[str]:
        """The tables of letters that no process follows now; empty text: any table."""
        followed = self._run(self._letters.followed())
        return sorted(
            {each.table for each in letters if each.table not in followed and (each.table or not followed)}
        )

    def put(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Puts letters back, which are as for a queue."""
        parked = datetime.now(UTC)
        self._run(
            self._letters.put(
                {
                    "group": each["MessageGroupId"],
                    **{name: value["StringValue"] for name, value in each["MessageAttributes"].items()},
                    "_id": each["Id"],
                    "body": each["MessageBody"],
                    "parked": parked,
                }
                for each in entries
            )
        )

    @property
    def has_odd(self) -> bool:
        """Whether the collection has something that is no letter."""
        return self._odd > 0

    def all_seen(self, expected: int) -> bool:  # noqa: ARG002 - as `QueueBrowser`
        """Whether everything could be looked at."""
        return not self.has_odd

    def report_unseen(self, expected: int) -> None:  # noqa: ARG002 - as `QueueBrowser`
        """Warns of what is no letter."""
        if self.has_odd:
            warn(f"{count(self._odd, 'document')} in the collection cannot be read as a letter, and stays.")
