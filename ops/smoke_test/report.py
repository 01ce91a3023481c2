"""The report of a smoke test, as people may send it to us, and the exit status."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ops.console.exit_status import FOUND, UNEXPECTED, UNKNOWN, WELL
from ops.doctor.findings import Finding, Report, Section, State
from ops.doctor.looking import has_mistake
from ops.doctor.view import print_report
from ops.smoke_test.items import Step
from ops.smoke_test.redaction import redacted
from shared.release import release

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from ops.console.terminal import Output
    from ops.json_outputs.pipeline import SmokeTestOutput

_OUTCOMES = {State.WELL: WELL, State.NOT_WELL: FOUND, State.UNKNOWN: UNKNOWN}


@dataclass(frozen=True, slots=True)
class SmokeReport:
    """What is printed.

    Attributes:
        found: without what nobody else should read.
        region: the AWS region.
        started: when the test began.
        seconds: how long each step took; None: it did not arrive.
        version: of this program.
    """

    found: Report
    region: str
    started: datetime
    seconds: Mapping[Step, float | None]
    version: str = field(default_factory=lambda: f"replicator {release()}")

    @classmethod
    def of(
        cls,
        sections: Sequence[Section],
        hosts: Collection[str],
        region: str,
        started: datetime,
        seconds: Mapping[Step, float | None],
    ) -> SmokeReport:
        """Makes it of what was found; `hosts`: what the connection string names."""

        def clean(finding: Finding) -> Finding:
            text, advice = redacted(finding.text, hosts), redacted(finding.advice, hosts)
            return Finding(finding.check, finding.state, text, advice)

        cleaned = [Section(each.subject, [clean(one) for one in each.findings]) for each in sections]
        return cls(Report(cleaned), region, started, seconds)

    @property
    def exit_status(self) -> int:
        """As the house has it."""
        if any(has_mistake(section.findings) for section in self.found.sections):
            return UNEXPECTED
        return _OUTCOMES[self.found.state]

    def data(self) -> SmokeTestOutput:
        """The report as a JSON object."""
        found = self.found.data()
        return {
            "well": found["well"],
            "version": self.version,
            "region": self.region,
            "started": self.started.isoformat(timespec="seconds"),
            "seconds": {
                "put": self.seconds[Step.PUT],
                "change": self.seconds[Step.CHANGE],
                "delete": self.seconds[Step.DELETE],
            },
            "checks": found["checks"],
        }

    def print(self, output: Output) -> None:
        """Prints it for people."""
        output.line(f"{self.version}, smoke test in {self.region}, {self.started:%Y-%m-%d %H:%M} UTC")
        output.line()
        print_report(output, self.found)


def hosts_in(uri: str) -> list[str]:
    """The hosts that a connection string names, with and without their ports."""
    from ops.doctor.target import address_of  # noqa: PLC0415 - help does not wait for the driver

    hosts = address_of(uri).hosts.split(", ")
    names = [host.rpartition(":")[0] for host in hosts]
    return [*hosts, *(name for name in names if "." in name)]
