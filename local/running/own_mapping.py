"""A run on a person's own mapping: its tables and items, and what an edit of the file does."""

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from local.errors import StackError
from local.own_tables.mapping import DEFAULT_KEY, Checked, Entry, InvalidMappingError, changes, check
from local.own_tables.tables import OwnTable, tables_of
from local.pipeline.deployment import Deployment, add_streams
from local.pipeline.tables import create_table, put_items
from local.polling import wait_until
from local.running.arrivals import Arrivals, Place
from local.running.supervised_writer import SupervisedWriter
from local.screen.console import Screen
from local.stack import Stack

DATABASE: Final = "replicator"
"""The database where an entry names none: that of the writer's settings."""


class OwnMapping:
    """The file as it was when it was last valid, and what was made of it.

    Attributes:
        tables: The tables that it has entries for, by name.
        made: The names of all tables that were created.
    """

    def __init__(self, file: Path, data: Path | None, screen: Screen) -> None:
        """Read and check the file and the data. Nothing has started yet.

        Raises:
            StackError: One of them cannot be used; the message says where and why.
        """
        self.file, self._screen = file, screen
        self.made: list[str] = []
        self._checked = check(file)
        self.tables = {each.name: each for each in tables_of(self._checked, data)}
        self._seen = self._before = self._contents()
        for warning in self._checked.warnings:
            screen.say(f"warning: {warning}")

    @property
    def text(self) -> str:
        """The mapping that is valid."""
        return self._checked.text

    def create(self, stack: Stack, tables: Sequence[OwnTable]) -> list[str]:
        """Create tables, and return the ARNs of their streams."""
        self.made += [each.name for each in tables]
        return [create_table(stack, each.name, **each.key) for each in tables]

    def describe(self) -> None:
        """Show which tables there are, and by which key."""
        for each in self.tables.values():
            key = ", ".join(f"{name} ({kind})" for name, kind in each.key.items())
            guessed = "" if each.entry.key else "; the entry names none"
            self._screen.fact(each.name, f"key {key}{guessed}")

    def places(self) -> list[Place]:
        """Where the tables' documents go."""
        return [_place(each.name, each.entry) for each in self.tables.values()]

    def load(
        self, stack: Stack, tables: Sequence[OwnTable], arrivals: Arrivals, check_all: Callable[[], None]
    ) -> bool:
        """Put the items of tables, and wait until all are documents, or dead letters.

        Returns:
            Whether all are documents.
        """
        number = sum(len(each.items) for each in tables)
        samples = sum(len(each.items) for each in tables if each.is_sample)
        made_up = (
            f", {samples} of them sample items" if 0 < samples < number else ", made up" if samples else ""
        )
        arrived = letters = 0

        def settled() -> bool:
            nonlocal arrived, letters
            check_all()
            arrived = sum(arrivals.count(_place(each.name, each.entry)) for each in tables)
            letters = arrivals.dead_letters()
            return arrived + letters >= number

        with self._screen.step(f"Put {number} {'item' if number == 1 else 'items'}{made_up}"):
            for each in tables:
                put_items(stack, each.name, each.items)
        try:
            with self._screen.step("Wait until they are in MongoDB"):
                wait_until(settled, what="the items")
        except StackError as error:
            if error.log:
                raise
        if arrived < number:
            self._screen.say(f"{arrived} of {number} items are documents; dead letters: {letters}.")
        return arrived >= number

    def _contents(self) -> Mapping[Path, bytes]:
        """The mapping and the modules of its hooks, as they are now."""
        hooks = {each.settings["hook"] for each in self._checked.entries.values()} - {None}
        modules = [self.file.parent / f"{hook.partition(':')[0].replace('.', '/')}.py" for hook in hooks]
        return {path: path.read_bytes() for path in (self.file, *modules) if path.is_file()}

    def follow_edits(
        self,
        stack: Stack,
        deployment: Deployment,
        writer: SupervisedWriter,
        arrivals: Arrivals,
        check_all: Callable[[], None],
    ) -> Deployment:
        """If the file has changed, let the writer read it, and make the documents follow it.

        Returns:
            The pipeline, which reads the streams of new tables, too.

        Raises:
            StackError: A server or the pipeline does not work. A mistake in the file is only shown.
        """
        contents, before = self._contents(), self._before
        self._before = contents
        # Editors write a file anew, and a look may come in between.
        if contents == self._seen or contents != before or self.file not in contents:
            return deployment
        edited = {
            path for path in contents.keys() | self._seen.keys() if contents.get(path) != self._seen.get(path)
        }
        self._seen = contents
        self._screen.title(f"{', '.join(sorted(path.name for path in edited))} has changed")
        old = self._checked
        try:
            self._checked = self._read_edit(hooks_changed=edited != {self.file})
            self._hand_over(writer, old)
        except StackError as error:
            self._checked = old
            self._screen.say(str(error))
            self._screen.say("The writer keeps the previous mapping.")
            return deployment
        if self._checked is old:
            self._screen.say("No rule has changed.")
            return deployment
        return self._follow(stack, deployment, arrivals, check_all, everything=edited != {self.file})

    def _read_edit(self, *, hooks_changed: bool) -> Checked:
        """The mapping as it is now; the same object as before if its rules have not changed."""
        checked = check(self.file)
        for name, each in self.tables.items():
            entry = checked.entry_of(name)
            if entry and entry.key and entry.key != tuple(each.key):
                raise InvalidMappingError(
                    f"{self.file}: tables.{entry.name}.key: the key of an existing table cannot change. Stop "
                    "and start again."
                )
        for sentence in (found := changes(self._checked, checked)):
            self._screen.say(f"  {sentence}")
        for warning in checked.warnings:
            self._screen.say(f"warning: {warning}")
        return checked if found or hooks_changed else self._checked

    def _hand_over(self, writer: SupervisedWriter, old: Checked) -> None:
        """Let a new writer read the mapping; if it refuses it, one that reads the old one."""
        if self._checked is old:
            return
        writer.mapping.write_text(self.text, encoding="utf-8")
        try:
            with self._screen.step("Restart the writer"):
                writer.restart()
            self._screen.fact("Process", writer.pid)
        except StackError:
            writer.mapping.write_text(old.text, encoding="utf-8")
            writer.restart()
            raise

    def _follow(
        self,
        stack: Stack,
        deployment: Deployment,
        arrivals: Arrivals,
        check_all: Callable[[], None],
        *,
        everything: bool,
    ) -> Deployment:
        """Make the tables of new entries, and the documents of the others as their rules say now."""
        old = self.tables
        self.tables = {
            name: replace(each, entry=entry)
            for name, each in old.items()
            if (entry := self._checked.entry_of(name))
        }
        filled = {each.entry.name for each in self.tables.values()}
        missing = [each for each in tables_of(self._checked, None) if each.entry.name not in filled]
        again = [each for each in missing if each.name in self.made]  # the entry was gone for a while
        new = [each for each in missing if each.name not in self.made]
        self.tables |= {each.name: each for each in missing}
        if new:
            streams = self.create(stack, new)
            with self._screen.step(
                f"Create {', '.join(each.name for each in new)}, and connect it to the pipeline"
            ):
                deployment = add_streams(stack, deployment, streams)
        arrivals.places = self.places()
        changed = [
            name
            for name, each in self.tables.items()
            if name in old and (everything or each.entry != old[name].entry)
        ]
        if changed := [*changed, *(each.name for each in again)]:
            self._resync(stack, deployment, changed)
        if new:
            self.load(stack, new, arrivals, check_all)
        arrivals.show([*changed, *(each.name for each in new)])
        return deployment

    def _resync(self, stack: Stack, deployment: Deployment, tables: Sequence[str]) -> None:
        """Documents that are there follow the rules that they were written by: this writes them anew."""
        environment = {
            "MONGODB_URI": stack.mongodb_uri,
            "MONGODB_DATABASE": DATABASE,
            "REPLICATION_FILE": str(self.file.absolute()),
            "REPLICATOR_STACK": deployment.name,
        }
        with self._screen.step("Apply the new rules to existing documents: replicator resync --yes"):
            done = subprocess.run(  # noqa: S603 - our own command, no shell
                [sys.executable, "-m", "ops", "resync", *tables, "--yes", "--settle", "1"],
                cwd=self.file.absolute().parent,
                env=stack.process_environment() | environment,
                capture_output=True,
                text=True,
                check=False,
            )
        if done.returncode:
            self._screen.say(f"{done.stdout}{done.stderr}".strip())


def _place(table: str, entry: Entry) -> Place:
    key = entry.key or DEFAULT_KEY
    return Place(
        table, entry.database or DATABASE, entry.collection_of(table), entry.settings["metadata_field"], key
    )
