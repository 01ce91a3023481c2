"""Files with one JSON object a line: the rejects of a backfill, the report of a comparison."""

from __future__ import annotations

from base64 import b64encode
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from shared.errors import FatalError
from shared.file_errors import words_of_file_error

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def json_of(value: Any) -> Any:
    """AttributeValues as JSON: binary values are base64 text, as the AWS command line prints them."""
    if isinstance(value, dict):
        return {name: json_of(part) for name, part in value.items()}
    if isinstance(value, list):
        return [json_of(part) for part in value]
    return b64encode(value).decode() if isinstance(value, bytes) else value


@contextmanager
def open_lines(path: Path | None, option: str, mode: str) -> Iterator[IO[str] | None]:
    """Opens a file to write lines to; yields None where no file is wanted.

    Raises:
        FatalError: it cannot be written.
    """
    if path is None:
        yield None
        return
    try:
        file = path.open(mode, encoding="utf-8")
    except OSError as error:
        raise FatalError(f"{option}: {path} cannot be written: {words_of_file_error(error)}") from error
    with file:
        yield file
