"""`python -m bench [NAME ...] [--rounds N] [--json FILE]`: runs benchmarks, prints and saves the results."""

from __future__ import annotations

import argparse
import functools
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bench import (
    backfill,
    commands,
    cost,
    drain,
    end_to_end,
    follow,
    network,
    observing,
    planning,
    producer,
    scale,
    types_cost,
)
from bench.report import as_markdown, machine, write

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bench.report import Result

BENCHMARKS: Mapping[str, Callable[[int], Result]] = {
    "types": types_cost.run,
    "planning": planning.run,
    "producer": producer.run,
    "cost": cost.run,
    "drain": drain.run,
    "observing": observing.run,
    "end-to-end": end_to_end.run,
    "scale": scale.run,
    "network": network.run,
    "backfill": backfill.run,
    "follow": follow.run,
    "commands": commands.run,
}
"""Name → a function of the number of rounds."""

_RESULTS = Path(__file__).parent / "results"
_ROUNDS: Mapping[str, int] = {
    "types": 31,
    "planning": 31,
    "producer": 9,
    "cost": 1,
    "drain": 5,
    "observing": 11,
    "end-to-end": 5,
    "scale": 5,
    "network": 3,
    "backfill": 31,
    "follow": 5,
    "commands": 11,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the named benchmarks; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="What things cost on this machine.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; default: all")
    parser.add_argument("--rounds", type=int, help="turns of each variant; default: each benchmark's own")
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="where the result goes, and beside it the page of the same name; for one benchmark "
        "(bench/results/NAME.json)",
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="DIR",
        help="for `drain`: a checkout of another release, whose writer is measured in the same rounds",
    )
    options = parser.parse_args(arguments)
    names = options.names or list(BENCHMARKS)
    if unknown := set(names) - BENCHMARKS.keys():
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds is at least 1")
    if options.against and names != ["drain"]:
        parser.error("--against is for drain")
    if options.json and len(names) > 1:
        parser.error("--json is for one benchmark")
    facts = machine()
    for name in names:
        measured = BENCHMARKS[name]
        if options.against:
            measured = functools.partial(drain.run, against=options.against.resolve())
        result, at = measured(options.rounds or _ROUNDS[name]), datetime.now(UTC)
        write(result, facts, at, options.json or _RESULTS / f"{name}.json")
        sys.stdout.write(as_markdown(result, facts, at))
    return 0


if __name__ == "__main__":
    sys.exit(main())
