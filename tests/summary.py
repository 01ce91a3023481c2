"""What came of the parts of the tests, from the JUnit XML that pytest writes of each. Pure: text in, out."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SLOWEST = 10
_PACKAGES = re.compile(r"apt-get install ([\w.+ -]+)")


@dataclass(frozen=True)
class Case:
    """One test.

    Attributes:
        name: by which pytest runs it: its file, class and function.
        seconds: what it took, with its fixtures.
        outcome: "passed", "failed" or "skipped".
        reason: why it was skipped.
    """

    name: str
    seconds: float
    outcome: str
    reason: str = ""


@dataclass(frozen=True)
class Part:
    """One run of pytest.

    Attributes:
        name: what it runs.
        seconds: from its start to its end.
        status: pytest's exit status.
        cases: its tests; none if it could not write its report.
    """

    name: str
    seconds: float
    status: int
    cases: Sequence[Case]

    @property
    def failed(self) -> list[str]:
        """The tests that failed, or else why the run as a whole did."""
        tests = [case.name for case in self.cases if case.outcome == "failed"]
        return tests or ([f"{self.name}: pytest ended with status {self.status}"] if self.status else [])


def read(xml: str) -> list[Case]:
    """The tests in a report of the family xunit1."""
    return [_case(element) for element in ET.fromstring(xml).iter("testcase")]  # noqa: S314 - pytest's own


def _case(element: ET.Element) -> Case:
    file = element.get("file", "")
    group = element.get("classname", "").removeprefix(file.removesuffix(".py").replace("/", ".")).strip(".")
    name = "::".join(filter(None, (file, group, element.get("name", ""))))
    seconds = float(element.get("time", "0"))
    if element.find("failure") is not None or element.find("error") is not None:
        return Case(name, seconds, "failed")
    if (skipped := element.find("skipped")) is not None:
        return Case(name, seconds, "skipped", skipped.get("message", ""))
    return Case(name, seconds, "passed")


def summary(parts: Sequence[Part], seed: int) -> str:
    """All of it, for a person; the last line has the form ``N passed, N failed, N skipped``."""
    cases = [case for part in parts for case in part.cases]
    failed = [name for part in parts for name in part.failed]
    slowest = sorted(cases, key=lambda case: -case.seconds)[:_SLOWEST]
    passed = sum(case.outcome == "passed" for case in cases)
    reasons = Counter(case.reason for case in cases if case.outcome == "skipped")
    lines = [
        *_section("The slowest tests", (f"{case.seconds:7.1f} s  {case.name}" for case in slowest)),
        *_section("Skipped", (f"{number:7}    {reason}" for reason, number in reasons.most_common())),
        *_section("What installs all that is missing here, on Debian and Ubuntu", _installation(reasons)),
        *_section("Failed", (f"           {name}" for name in failed)),
        *_section("Parts", (f"{part.seconds:7.0f} s  {part.name}" for part in parts)),
        *_section("The same order, examples and faults once more", [f"           make test SEED={seed}"]),
        "",
        f"{passed} passed, {len(failed)} failed, {reasons.total()} skipped",
    ]
    return "\n".join(lines)


def _section(title: str, lines: Iterable[str]) -> list[str]:
    """Nothing if there is nothing to say."""
    listed = list(lines)
    return ["", title, *listed] if listed else []


def _installation(reasons: Iterable[str]) -> list[str]:
    """One command for all the packages that the reasons name."""
    packages = {name for reason in reasons for found in _PACKAGES.findall(reason) for name in found.split()}
    return [f"           apt-get install {' '.join(sorted(packages))}"] if packages else []
