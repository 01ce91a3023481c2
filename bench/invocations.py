"""Invokes the unpacked producer as Lambda does, and measures that. Standard library only.

    python -I -S -B invocations.py PACKAGE_FOLDER RECORDS_A_TURN EVENT_FILE ...

A clean interpreter with the package and nothing else, which writes no bytecode: /var/task is read-only. The
first event is for the first invocation. Then each event has a turn: so many invocations that they have
RECORDS_A_TURN records (0: none), each with an event that is parsed from its JSON again, as Lambda's runtime
does.

The result is one JSON object: `cold`, seconds of (elapsed, CPU) time for each phase of the first invocation;
`warm`, for each event seconds of CPU time per record for each step.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

LANES = 64
MESSAGE_LIMIT = 1024 * 1024


class Context:
    """Lambda's context object, with enough time."""

    def get_remaining_time_in_millis(self) -> int:
        """See `producer_lambda.handler.Context`."""
        return 30_000


def main(arguments: Sequence[str]) -> None:
    """Invokes the function, and writes the result to standard output."""
    folder, records_a_turn, *event_files = arguments
    texts = [Path(file).read_text(encoding="utf-8") for file in event_files]
    report, sys.stdout = sys.stdout, Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - as long as we live
    sys.path.insert(0, folder)
    cold = _cold(json.loads(texts[0]))
    warm = [_warm(text, int(records_a_turn)) for text in texts]
    report.write(json.dumps({"cold": cold, "warm": warm}))


def _cold(event: Any) -> Mapping[str, Sequence[float]]:
    marks = [_now()]
    from producer_lambda import handler  # noqa: PLC0415 - this is what is measured

    marks.append(_now())
    handler._runtime = handler._Runtime(os.environ, Context())  # noqa: SLF001 - the first part of the first invocation
    marks.append(_now())
    _must_succeed(handler.lambda_handler(event, Context()))
    marks.append(_now())
    phases = ("imports", "client", "first send")
    return {
        phase: [after - before for before, after in zip(marks[index], marks[index + 1], strict=True)]
        for index, phase in enumerate(phases)
    }


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _warm(text: str, records_a_turn: int) -> Mapping[str, float]:
    from producer_lambda.handler import lambda_handler  # noqa: PLC0415 - not before `_cold`
    from producer_lambda.packing import pack  # noqa: PLC0415 - likewise
    from producer_lambda.records import Records  # noqa: PLC0415 - likewise

    context = Context()
    count = len(json.loads(text)["Records"])
    steps: dict[str, Callable[[Any], object]] = {
        "all in": lambda event: _must_succeed(lambda_handler(event, context)),
        "parse": lambda event: list(Records(event)),
        "parse and pack": lambda event: pack(Records(event), LANES, MESSAGE_LIMIT),
    }
    seconds = dict.fromkeys(["reading", *steps], 0.0)
    turns = -(-records_a_turn // count)
    for _ in range(turns):
        for name, step in steps.items():
            start = time.process_time()
            event = json.loads(text)
            ready = time.process_time()
            result = step(event)
            seconds[name] += time.process_time() - ready
            seconds["reading"] += (ready - start) / len(steps)
            del event, result
    return {name: total / max(1, turns) / count for name, total in seconds.items()}


def _must_succeed(response: Any) -> None:
    if response != {"batchItemFailures": []}:
        raise RuntimeError(f"the producer did not send everything: {response}")


if __name__ == "__main__":
    main(sys.argv[1:])
