"""What a check found, and what all of it means. Pure.

Law: a check that could not look has found nothing: it is not known, and never well.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ops.json_outputs.pipeline import DoctorOutput


class State(StrEnum):
    """How something is."""

    WELL = "ok"
    NOT_WELL = "problem"
    UNKNOWN = "unknown"


_AS_JSON = {State.WELL: True, State.NOT_WELL: False, State.UNKNOWN: None}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the list.

    Attributes:
        check: which check it is from, a word for scripts, such as ``queue-fifo``.
        state: how it is.
        text: what was seen, as a sentence.
        advice: what to do; empty if it is well.
    """

    check: str
    state: State
    text: str
    advice: str = ""


def well(check: str, text: str) -> Finding:
    return Finding(check, State.WELL, _ended(text))


def not_well(check: str, text: str, advice: str) -> Finding:
    return Finding(check, State.NOT_WELL, _ended(text), advice)


def unknown(check: str, text: str, advice: str) -> Finding:
    return Finding(check, State.UNKNOWN, _ended(text), advice)


def _ended(text: str) -> str:
    """With one full stop, whatever an error's text ends with."""
    return f"{text.rstrip('.')}."


@dataclass(frozen=True, slots=True)
class Section:
    """What belongs together.

    Attributes:
        subject: its heading, such as ``Queues``.
        findings: in the order they are shown.
    """

    subject: str
    findings: Sequence[Finding]


@dataclass(frozen=True, slots=True)
class Report:
    """All that was found."""

    sections: Sequence[Section]

    @property
    def state(self) -> State:
        """Not well if anything is not; else not known if anything is not known."""
        states = {finding.state for section in self.sections for finding in section.findings}
        return next((each for each in (State.NOT_WELL, State.UNKNOWN) if each in states), State.WELL)

    def count(self, state: State) -> int:
        """How many findings are in this state."""
        return sum(each.state is state for section in self.sections for each in section.findings)

    def data(self) -> DoctorOutput:
        """The report as a JSON object; null stands for what is not known."""
        return {
            "well": _AS_JSON[self.state],
            "checks": [
                {
                    "subject": section.subject,
                    "check": finding.check,
                    "well": _AS_JSON[finding.state],
                    "text": finding.text,
                    "advice": finding.advice or None,
                }
                for section in self.sections
                for finding in section.findings
            ],
        }
