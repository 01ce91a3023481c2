"""Names that somebody can register do not open the status page."""

from __future__ import annotations

import pytest

from writer.status.hosts import is_known

OURS = {"status.example.com"}


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:8080",
        "10.1.2.3",
        "[::1]:8080",
        "[fe80::1]",
        "localhost:8080",
        "writer:8080",
        "Writer",
        "ip-10-0-0-5.eu-west-1.compute.internal:8080",
        "writer.replicator.svc.cluster.local",
        "localhost.:8080",
        "status.example.com",
        "STATUS.example.com.:443",
    ],
)
def test_ours(host: str) -> None:
    """Addresses, names without dots, private names, and those that the operator gave."""
    assert is_known([host], OURS)


@pytest.mark.parametrize(
    "headers",
    [
        ["evil.example"],
        ["evil.example:8080"],
        ["127.0.0.1.evil.example"],
        ["localhost.evil.example"],
        ["xlocalhost.com"],
        ["my-internal.com"],
        ["evil.status.example.com"],
        ["[evil.example]"],
        ["[abc]"],
        ["1.2.3"],
        ["evil.example#.internal"],
        ["evil.example/.internal"],
        ["localhost, evil.example"],
        ["localhost", "evil.example"],
        ["localhost:port"],
        [""],
        [],
    ],
)
def test_not_ours(headers: list[str]) -> None:
    """All other names, and what no browser sends."""
    assert not is_known(headers, OURS)
