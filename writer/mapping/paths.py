"""Paths of fields, as `replication.yaml` writes them. Pure."""

import re

Path = tuple[str, ...]

_PART = re.compile(r"(?:\\[.\\*\[]|[^.\\*\[])+")
_INDEX = re.compile(r"\[\d*\]|\*|\[")


def parse_path(text: str) -> Path:
    r"""Splits `address.since` into names; a dot, backslash, `*` or `[` in a name has a backslash before it.

    Raises:
        ValueError: a name is empty, or has an index or a wildcard, or a backslash stands alone; the text
            continues "the path …".
    """
    parts = []
    position = 0
    while True:
        part = _PART.match(text, position)
        position = part.end() if part else position
        if found := _INDEX.match(text, position):
            raise ValueError(
                f"has {found[0]}: leave it out, because a path goes through every element of a list; a name "
                f"that has it is written with \\{found[0][0]}"
            )
        if part is None:
            raise ValueError("has an empty name, or a backslash before what needs none")
        parts.append(re.sub(r"\\(.)", r"\1", part[0]))
        if position == len(text):
            return tuple(parts)
        if text[position] != ".":
            raise ValueError("has a backslash before what needs none")
        position += 1
