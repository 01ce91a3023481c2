"""A repair from its report to its end: says what it will do, asks, does it.

Nothing is written before somebody said yes: a person at the terminal, or `--yes`. Whatever was planned, each
document is looked at anew when it is its turn.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from ops.console.confirmation import can_ask, confirmed
from ops.console.exit_status import FOUND, UNKNOWN, WELL, CommandError
from ops.console.progress import Progress, console
from ops.console.terminal import count
from ops.migration.command import print_counts
from ops.migration.repair.repairer import Repairer, Result
from ops.migration.verify.findings import read_findings
from ops.migration.verify.lookup import Lookup
from ops.migration.verify.verify import short_key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ops.migration.repair.repairer import Repair
    from ops.migration.settings import Session, Settings

_TOGETHER = 200
_SHOWN = 10

Yes = Annotated[bool, typer.Option("--yes", help="Write without asking, for scripts.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be done, but write nothing.")]


@dataclass(slots=True)
class Repairs:
    """What became of the differences of a report, or what would.

    Attributes:
        dry_run: nothing was written.
        declined: nothing was written, for nobody said yes.
        in_flight: keys that kept changing while they were compared: whether they differ is not known.
        examples: the first ones that have a reason.
        repaired: keys or `_id`s of the first ones that were repaired.
    """

    dry_run: bool
    declined: bool = False
    in_flight: int = 0
    counts: Counter[Result] = field(default_factory=Counter)
    examples: list[Repair] = field(default_factory=list)
    repaired: list[str] = field(default_factory=list)

    @property
    def planned(self) -> int:
        """How many documents would be written or deleted."""
        return self.counts[Result.TO_WRITE] + self.counts[Result.TO_DELETE]

    @property
    def status(self) -> int:
        """The exit status."""
        if self.planned or self.counts[Result.LEFT]:
            return FOUND
        return UNKNOWN if self.in_flight else WELL

    @property
    def plan(self) -> str:
        """What would be done."""
        documents = count(self.counts[Result.TO_WRITE], "document")
        return f"{documents} to write, {self.counts[Result.TO_DELETE]:,} to delete"

    @property
    def found(self) -> str:
        """What became of them, in some words."""
        left = f", {self.counts[Result.LEFT]:,} left" if self.counts[Result.LEFT] else ""
        left += f", {self.in_flight:,} in flight" if self.in_flight else ""
        if self.declined:
            return f"nothing was written: {self.plan}{left}"
        return (self.plan if self.dry_run else f"{self.counts[Result.REPAIRED]:,} repaired") + left

    @property
    def data(self) -> dict[str, Any]:
        """For `--json`."""
        left = [each for each in self.examples if each.result is Result.LEFT]
        return {
            "dry_run": self.dry_run,
            "declined": self.declined,
            **{result.replace(" ", "_"): self.counts[result] for result in Result},
            "left_examples": [f"{short_key(each.finding)}: {each.reason}" for each in left],
            "repaired_examples": self.repaired,
        }

    def note(self, repairs: Sequence[Repair]) -> None:
        """Counts some more."""
        self.counts.update(each.result for each in repairs)
        self.examples += [each for each in repairs if each.reason][: _SHOWN - len(self.examples)]
        done = [short_key(each.finding) for each in repairs if each.result is Result.REPAIRED]
        self.repaired += done[: _SHOWN - len(self.repaired)]

    def show(self) -> None:
        """Prints what became of them."""
        numbers = [
            (self.counts[Result.TO_WRITE], "documents to write", False),
            (self.counts[Result.TO_DELETE], "documents to delete", False),
            (self.counts[Result.MOVED_ON], "equal now", False),
            (self.counts[Result.LEFT], "that cannot be repaired", True),
        ]
        if not self.dry_run and not self.declined:
            numbers[:2] = [(self.counts[Result.REPAIRED], "repaired", False)]
        print_counts(numbers)
        for each in self.examples:
            console().print(Text(f"  {each.result}: {short_key(each.finding)}: {each.reason}"))
        if more := self.counts[Result.LEFT] - sum(each.result is Result.LEFT for each in self.examples):
            console().print(f"  and {more:,} more are left; verify --report FILE lists them all")
        if self.repaired:
            more = self.counts[Result.REPAIRED] - len(self.repaired)
            named = [*sorted(self.repaired), *([f"and {more:,} more"] if more else [])]
            console().print(Text(f"  repaired: {', '.join(named)}"))
            console().print(
                "An older change that arrives later, such as a redriven dead letter, can undo a repair: "
                "run verify after it."
            )
        if self.declined:
            console().print("Nothing was written.")
        if self.in_flight:
            console().print(
                f"{self.in_flight:,} more kept changing and could not be "
                "compared: run it again with a longer --settle."
            )


def check_consent(*, yes: bool, dry_run: bool) -> None:
    """Makes sure that somebody can say yes, before anything is compared.

    Raises:
        CommandError: nobody can.
    """
    if not yes and not dry_run and not can_ask():
        raise CommandError(
            "it asks before it writes, but there is no terminal: give --yes to write without asking, or "
            "--dry-run to see what it would do"
        )


async def repair_report(  # noqa: PLR0913 - what it works with
    settings: Settings, session: Session, report: Path, *, dry_run: bool, yes: bool, quiet: bool
) -> Repairs:
    """Repairs the differences of a table in a report, if somebody says yes.

    Args:
        settings: of the table.
        session: its two sides, opened.
        report: of a comparison.
        dry_run: write nothing.
        yes: do not ask.
        quiet: without progress.
    """
    name = session.table.name
    planned = await _go_through(session, report, dry_run=True, what=f"{name}: check again", quiet=quiet)
    if dry_run or not planned.planned:
        planned.dry_run = dry_run
        return planned
    doubt = "" if session.mapping.is_known else " The mapping of the writers is unknown."
    here = f"{name} ({where})" if (where := session.source.where) else name
    plan = f"{here} -> {settings.namespace}: {planned.plan}.{doubt}"
    if yes:
        console(errors=True).print(plan)
    elif not await confirmed(f"{plan} Continue?"):
        planned.dry_run, planned.declined = False, True
        return planned
    return await _go_through(session, report, dry_run=False, what=f"{name}: repair", quiet=quiet)


async def _go_through(session: Session, report: Path, *, dry_run: bool, what: str, quiet: bool) -> Repairs:
    """Looks at all differences anew, and repairs them unless it is a dry run."""
    repairs = Repairs(dry_run)
    repairer = Repairer(session, Lookup(session), dry_run=dry_run)
    findings = read_findings(report, session.table.name)
    with Progress(what, quiet=quiet) as progress:
        while some := list(itertools.islice(findings, _TOGETHER)):
            repairs.note(await repairer.repair(some))
            progress.done(len(some))
        repairs.note(await repairer.repair_kept_back())
    return repairs
