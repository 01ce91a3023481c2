"""Paths of fields, as `replication.yaml` writes them. Pure."""

import re

Path = tuple[str, ...]

_PART = re.compile(r"(?:\\[.\\]|[^.\\])+")


def parse_path(text: str) -> Path:
    r"""Splits `address.since` into names; a dot or backslash in a name is written `\.` or `\\`.

    Raises:
        ValueError: a name is empty, or a backslash stands alone; the text continues "the path …".
    """
    parts = []
    position = 0
    while True:
        part = _PART.match(text, position)
        if part is None:
            raise ValueError("has an empty name, or a backslash before neither a dot nor a backslash")
        parts.append(re.sub(r"\\(.)", r"\1", part[0]))
        position = part.end()
        if position == len(text):
            return tuple(parts)
        if text[position] != ".":
            raise ValueError("has a backslash before neither a dot nor a backslash")
        position += 1
