"""Which dead letters a person selects: the options, and whether a letter matches. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from ops.console.exit_status import CommandError
from ops.queues.dead_letters import Letter
from shared.change import Change
from shared.errors import PoisonError
from shared.keys import canonical_key

_ID_LENGTH = len("00000000-0000-0000-0000-000000000000")
_FEWEST_CHARACTERS = 4
"""Of an id. Nobody selects a letter by fewer, or by none."""

_AS_JSON = """'{"id": 3}'"""
_TYPED = (["S"], ["N"], ["B"])


def key_problem(wanted: str) -> str | None:
    """Why what a person typed is no key, and how one is written; None: a letter can have it."""
    if not wanted.lstrip().startswith("{"):
        return None  # the value of an attribute, which can be any text
    try:
        key = json.loads(wanted)
    except (ValueError, RecursionError) as error:
        what = "it begins like a JSON object, but is not JSON"
        return f"{what} ({error}): give a key such as {_AS_JSON}, or the value of one attribute"
    if not key:
        return f"it is an empty object: give a key such as {_AS_JSON}"
    typed = [name for name, value in key.items() if isinstance(value, dict) and list(value) in _TYPED]
    if typed:
        return f"{typed[0]} has a DynamoDB type, which is left out here: give a key such as {_AS_JSON}"
    return None


def _checked_key(wanted: str | None) -> str | None:
    if wanted is not None and (problem := key_problem(wanted)):
        raise typer.BadParameter(problem)
    return wanted


Ids = Annotated[
    list[str] | None,
    typer.Argument(metavar="ID", help="The letters' ids, or the beginnings of them.", show_default=False),
]
TableOption = Annotated[
    str | None,
    typer.Option("--table", metavar="NAME", help="Only letters of this DynamoDB table.", show_default=False),
]
KeyOption = Annotated[
    str | None,
    typer.Option(
        "--key",
        metavar="KEY",
        callback=_checked_key,
        help="Only letters of this item: its key as JSON, or the value of one key attribute.",
        show_default=False,
    ),
]
CodeOption = Annotated[
    str | None,
    typer.Option(
        "--code",
        metavar="CODE",
        help="Only letters with this reason code, such as bad-conversion.",
        show_default=False,
    ),
]
LimitOption = Annotated[
    int | None,
    typer.Option("--limit", min=1, metavar="NUMBER", help="At most this many letters.", show_default=False),
]
MongodbOption = Annotated[
    bool,
    typer.Option(
        "--mongodb", help="The dead letters of follow, which are in the target database, not in a queue."
    ),
]
AllOption = Annotated[bool, typer.Option("--all", help="All letters; needed if nothing else selects them.")]


@dataclass(frozen=True, slots=True)
class Selection:
    """The selected letters: those that meet every condition here.

    Attributes:
        ids: message ids, or how they begin; one of them has to match. Empty: any letter.
        table: the name of the table.
        key: the key as a JSON object, or the value of one of its attributes.
        code: the reason's code.
    """

    ids: Sequence[str] = ()
    table: str | None = None
    key: str | None = None
    code: str | None = None

    @property
    def is_all(self) -> bool:
        """Whether there is no condition."""
        return self == Selection()

    @property
    def whole_ids(self) -> bool:
        """Whether the ids are whole, so that the search can end when all of them are found."""
        return bool(self.ids) and all(len(each) == _ID_LENGTH for each in self.ids)

    def none_found(self, *, all_seen: bool) -> str:
        """The sentence for a person if no letter matches; `all_seen`: of all that there are."""
        if not all_seen:
            return (
                "No dead letter could be read."
                if self.is_all
                else "None of the letters that were read match."
            )
        return "There are no dead letters." if self.is_all else "No dead letters match."

    def matches(self, letter: Letter) -> bool:
        """Whether this letter is selected."""
        return (
            (not self.ids or letter.id.startswith(tuple(self.ids)))
            and self.table in (None, letter.table)
            and self.code in (None, letter.code)
            and (self.key is None or any(key_matches(self.key, key) for key in _keys(letter)))
        )


def selection_to_change(
    ids: Sequence[str] | None, table: str | None, key: str | None, code: str | None, *, every: bool
) -> Selection:
    """The selection of a command that redrives or drops letters.

    Raises:
        CommandError: a value is empty or too short, or nothing is selected and `every` is false.
    """
    if "" in (table, key, code) or any(len(each) < _FEWEST_CHARACTERS for each in ids or ()):
        raise CommandError(
            f"an ID needs at least {_FEWEST_CHARACTERS} characters, and an option its value: is a shell "
            "variable empty?"
        )
    selection = Selection(tuple(ids or ()), table, key, code)
    if selection.is_all and not every:
        raise CommandError("which letters? Name their IDs, --table, --key or --code, or give --all")
    return selection


def key_matches(wanted: str, key: Mapping[str, Any]) -> bool:
    """Whether a key, as wire values by attribute name, is the `wanted` one.

    A person types the key as a JSON object, or one of its values: ``{"id":3}``, ``3`` or ``customer#1``.
    """
    try:
        parsed = json.loads(wanted)
    except (ValueError, RecursionError):
        parsed = None
    if isinstance(parsed, dict):
        try:
            return canonical_key(parsed) == canonical_key(key)
        except PoisonError:
            return False
    if not isinstance(parsed, int | float) or isinstance(parsed, bool):
        return wanted in key.values()
    return any(value in (wanted, parsed) for value in key.values())


def _keys(letter: Letter) -> list[Mapping[str, Any]]:
    changes = [each.key for each in letter.changes if isinstance(each, Change)]
    if changes or not letter.key:
        return changes
    try:
        key = json.loads(letter.key)
    except (ValueError, RecursionError):  # cut off, because it was long
        return []
    return [key] if isinstance(key, dict) else []
