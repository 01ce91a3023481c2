"""The options of the commands for dead letters."""

from __future__ import annotations

from typing import Annotated

import typer

Ids = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ID]...", help="Letters, by their ids or how these begin.", show_default=False),
]
TableOption = Annotated[
    str | None,
    typer.Option("--table", metavar="NAME", help="Only those of this DynamoDB table.", show_default=False),
]
KeyOption = Annotated[
    str | None,
    typer.Option(
        "--key",
        metavar="KEY",
        help="Only those of this item: its key as JSON, or the value of one key attribute.",
        show_default=False,
    ),
]
CodeOption = Annotated[
    str | None,
    typer.Option(
        "--code",
        metavar="CODE",
        help="Only those with this reason code, such as bad-conversion.",
        show_default=False,
    ),
]
ShowLimit = Annotated[int, typer.Option("--limit", min=1, help="Most letters to show.")]
ActLimit = Annotated[int | None, typer.Option("--limit", min=1, help="Most letters.", show_default=False)]
AllOption = Annotated[bool, typer.Option("--all", help="Every letter; needed where nothing else says which.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]
