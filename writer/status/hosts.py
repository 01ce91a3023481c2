"""Which names the status page is opened by. Pure.

A page elsewhere can let its own name point to this machine, and so have a browser inside our network read
what is here ("DNS rebinding"). Its name is one that somebody can register; so the page answers for none
but those that nobody can, and those that the operator names.

Sources: RFC 6761 (localhost), RFC 6762 (local), ICANN's resolution of 2024-07-29 (internal).
"""

import re
from collections.abc import Collection, Sequence
from ipaddress import ip_address

_PRIVATE = (".localhost", ".local", ".internal")
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?", re.IGNORECASE)


def is_known(headers: Sequence[str], names: Collection[str]) -> bool:
    """Whether a request is for us.

    Args:
        headers: its `Host` headers: one, in a request of a browser.
        names: what else than an address, a name without dots, or a private name we are called; lower case.
    """
    found = _HOST.fullmatch(headers[0]) if len(headers) == 1 else None
    if found is None:
        return False
    name = found["name"].lower()
    if name.startswith("["):
        return _is_address(name[1:-1])
    name = name.removesuffix(".")
    return "." not in name or _is_address(name) or name.endswith(_PRIVATE) or name in names


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
