"""The JSON Schemas of what the commands print, by the names of the commands."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from ops.json_outputs.mapping import CheckedMapping
from ops.json_outputs.messages import DeadLetterOutput, LogLine, QueuedMessage
from ops.json_outputs.migration import BackfillOutput, CutoverOutput, RepairOutput, ResyncOutput, VerifyOutput
from ops.json_outputs.pipeline import DoctorOutput, SmokeTestOutput, StatusOutput

_DIALECT = "https://json-schema.org/draft/2020-12/schema"

OUTPUTS: Mapping[str, Any] = {
    "backfill": BackfillOutput,
    "check-config": CheckedMapping,
    "dlq list": DeadLetterOutput,
    "dlq show": DeadLetterOutput,
    "doctor": DoctorOutput,
    "logs": LogLine,
    "peek": QueuedMessage,
    "plan-cutover": CutoverOutput,
    "repair": RepairOutput,
    "resync": ResyncOutput,
    "smoke-test": SmokeTestOutput,
    "status": StatusOutput,
    "verify": VerifyOutput,
}
"""By command: what it prints, on the whole or a line."""


def file_name(command: str) -> str:
    """The name of a command's schema in `ops/schemas/`."""
    return f"{command.replace(' ', '-')}.schema.json"


def schema_of(command: str) -> dict[str, Any]:
    """The JSON Schema of what a command prints."""
    made = TypeAdapter(OUTPUTS[command]).json_schema()
    return {"$schema": _DIALECT, **made, "title": f"replicator {command} --json"}


def schema_text(command: str) -> str:
    """The schema as the text of its file."""
    return json.dumps(schema_of(command), indent=2) + "\n"


def main(folder: str) -> None:
    """Writes all schemas into a folder."""
    for command in OUTPUTS:
        Path(folder, file_name(command)).write_text(schema_text(command), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
