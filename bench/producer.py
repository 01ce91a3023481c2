"""`producer`: what the Lambda costs. CPU time per record, all in; messages and requests; cold start; package.

Everything runs from the package that would be deployed, unpacked into a folder, in interpreters with nothing
else (`bench.invocations`). The queue is an endpoint in another process, whose CPU time is not counted
(`bench.sqs_endpoint`).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.measure import Series
from bench.report import Result, Table
from bench.sized import event
from bench.sqs_endpoint import SqsEndpoint
from deploy.package import build

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.sqs_endpoint import Sent

ABOUT = """\
The package that would be deployed, in a clean interpreter that has nothing else and writes no bytecode, and a
queue that takes everything, in another process. Each round is a process of its own; medians of all rounds, in
brackets: half of the rounds lie in there.

"All in" is microseconds of CPU time (user and system) per record, from the event as Python objects to the
last answer of the queue: parse, pack and seal, send. "Reading" is what Lambda's runtime spends on the
event's JSON before it calls us; it is not in "all in". Events are read anew for each invocation, and the
garbage collector is on, as in Lambda. (An event of 10,000 such records is larger than the 6 MB that Lambda
hands over; it shows what size itself does.) The endpoint is reached by HTTP on the loopback interface: TLS
and a network come on top.

The cold start is what the first invocation of an execution environment adds: imports, the SQS client with its
two calls for the queues' attributes, and the first event of 100 records, in milliseconds. The start of the
interpreter is not in it. Elapsed time has in it what else the machine does.\
"""

SIZE = 250
RECORDS = (100, 1_000, 10_000)
PHASES = ("imports", "client", "first send")

_RECORDS_A_TURN = 3_000
_CHILD = Path(__file__).with_name("invocations.py")
_LONGEST = 300  # seconds
_THOUSAND = 1_000


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of event."""

    records: int
    hot: bool

    @property
    def name(self) -> str:
        """Its name in the report."""
        return f"{self.records} records, {'half of them of a hot key' if self.hot else 'distinct keys'}"


KINDS = tuple(Kind(records, hot) for hot in (False, True) for records in RECORDS)


def run(rounds: int) -> Result:
    """Builds the package, unpacks it, and invokes it."""
    with tempfile.TemporaryDirectory(prefix="bench-producer-") as name, SqsEndpoint() as endpoint:
        folder = Path(name)
        package = folder / "producer.zip"
        build(package)
        with zipfile.ZipFile(package) as archive:
            archive.extractall(folder / "task")
        shutil.copytree(folder / "task", folder / "bare", ignore=shutil.ignore_patterns("*.pyc"))
        events = [_event_file(folder, kind) for kind in KINDS]
        environment = {**endpoint.environment(), "HOME": name}
        found, bare = [], []
        for _ in range(rounds):
            found.append(_invocations(folder / "task", events, environment))
            bare.append(_invocations(folder / "bare", events[:1], environment, turn=0))
        endpoint.take()
        sent = []
        for file in events:
            _invocations(folder / "task", [file], environment, turn=0)
            sent.append(endpoint.take())
        sizes = {"zip": package.stat().st_size, "unpacked": unpacked_size(package)}
    figures = {
        "bytes of an item": SIZE,
        "per record": {kind.name: warm(found, index) for index, kind in enumerate(KINDS)},
        "sent": {kind.name: counts(kind.records, each) for kind, each in zip(KINDS, sent, strict=True)},
        "cold start": cold(found),
        "cold start without bytecode": cold(bare),
        "package": sizes,
    }
    return Result("producer", ABOUT, tables(figures), figures, {"rounds": rounds})


def _event_file(folder: Path, kind: Kind) -> Path:
    file = folder / f"event-{kind.records}-{kind.hot}.json"
    file.write_text(json.dumps(event(kind.records, SIZE, hot=kind.hot)), encoding="utf-8")
    return file


def _invocations(
    task: Path, events: Sequence[Path], environment: Mapping[str, str], turn: int = _RECORDS_A_TURN
) -> Mapping[str, Any]:
    """The result of one process of `bench.invocations`."""
    finished = subprocess.run(  # noqa: S603 - a program of our own
        [sys.executable, "-I", "-S", "-B", os.fspath(_CHILD), os.fspath(task), str(turn), *map(str, events)],
        env=dict(environment),
        stdout=subprocess.PIPE,
        check=True,
        timeout=_LONGEST,
    )
    result: Mapping[str, Any] = json.loads(finished.stdout)
    return result


def unpacked_size(package: Path) -> int:
    """The total size of the files in a zip, bytes."""
    with zipfile.ZipFile(package) as archive:
        return sum(entry.file_size for entry in archive.infolist())


def warm(found: Sequence[Mapping[str, Any]], index: int) -> Mapping[str, Any]:
    """Microseconds per record for each step of one kind of event; sending is the rest."""
    steps = {
        name: [each["warm"][index][name] * 1e6 for each in found]
        for name in ("all in", "parse", "parse and pack", "reading")
    }
    pairs = zip(steps["parse and pack"], steps["parse"], strict=True)
    packing = [both - parsing for both, parsing in pairs]
    pairs = zip(steps["all in"], steps["parse and pack"], strict=True)
    sending = [everything - both for everything, both in pairs]
    return {
        "all in": _figures(steps["all in"]),
        "parse": _figures(steps["parse"]),
        "pack": _figures(packing),
        "send": _figures(sending),
        "reading": _figures(steps["reading"]),
    }


def counts(records: int, sent: Sent) -> Mapping[str, Any]:
    """What was sent for one event, and the same per 1,000 changes."""
    return {
        **asdict(sent),
        "messages per 1000": round(sent.messages / records * _THOUSAND, 1),
        "requests per 1000": round(sent.requests / records * _THOUSAND, 1),
        "bytes per message": round(sent.size / sent.messages),
    }


def cold(found: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Milliseconds of each phase, and of all phases."""
    phases = {name: [each["cold"][name] for each in found] for name in PHASES}
    phases["all"] = [
        [sum(times) for times in zip(*phase, strict=True)] for phase in zip(*phases.values(), strict=True)
    ]
    return {
        name: {
            "elapsed": _figures([elapsed * 1e3 for elapsed, _ in values]),
            "cpu": _figures([cpu * 1e3 for _, cpu in values]),
        }
        for name, values in phases.items()
    }


def _figures(values: Sequence[float]) -> Mapping[str, float]:
    series = Series(values)
    low, high = series.quartiles
    return {"median": round(series.median, 2), "low": round(low, 2), "high": round(high, 2)}


def tables(figures: Mapping[str, Any]) -> Sequence[Table]:
    """The figures as tables."""
    per_record = [
        [name, *(_shown(found[step], 1) for step in ("all in", "parse", "pack", "send", "reading"))]
        for name, found in figures["per record"].items()
    ]
    sent = [
        [
            name,
            f"{found['messages per 1000']:g}",
            f"{found['requests per 1000']:g}",
            str(found["bytes per message"]),
            str(found["largest"]),
        ]
        for name, found in figures["sent"].items()
    ]
    cold_start = [
        [phase, *(_shown(figures[which][phase][clock], 0) for which in _COLD for clock in ("elapsed", "cpu"))]
        for phase in (*PHASES, "all")
    ]
    package = [[name, str(size)] for name, size in figures["package"].items()]
    return [
        Table("CPU time per record", ("event", "all in", "parse", "pack", "send", "reading"), per_record),
        Table(
            "What is sent",
            (
                "event",
                "messages per 1,000 changes",
                "requests per 1,000",
                "bytes per message",
                "largest",
            ),
            sent,
        ),
        Table(
            "Cold start",
            ("phase", "elapsed", "CPU", "elapsed without bytecode", "CPU without bytecode"),
            cold_start,
        ),
        Table("Package", ("", "bytes"), package),
    ]


_COLD = ("cold start", "cold start without bytecode")


def _shown(found: Mapping[str, float], digits: int) -> str:
    return f"{found['median']:.{digits}f} ({found['low']:.{digits}f} to {found['high']:.{digits}f})"
