import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from local.errors import StackError
from local.paths import ROOT
from local.processes.ports import HOST, free_port, given_port


@pytest.fixture
def well_known() -> int:
    """A port that is free now."""
    with free_port(0) as lease:
        return lease.number


def test_the_preferred_port_is_taken_when_it_is_free(well_known: int) -> None:
    """A server is where its manual says."""
    with free_port(well_known) as lease:
        assert lease.number == well_known


def test_a_port_that_someone_listens_on_is_replaced(well_known: int) -> None:
    """Another program's server is left alone."""
    with socket.create_server((HOST, well_known)), free_port(well_known) as lease:
        assert lease.number != well_known


def test_a_leased_port_is_not_given_twice(well_known: int) -> None:
    """Two runs that start together get different ports, although neither listens yet."""
    with free_port(well_known), free_port(well_known) as second:
        assert second.number != well_known


def test_a_released_port_is_given_again(well_known: int) -> None:
    """A lease ends with `release`, and leaves no file behind."""
    lock = Path(tempfile.gettempdir()) / f"replicator-port-{well_known}.lock"
    lease = free_port(well_known)
    assert lock.exists()
    lease.release()
    assert not lock.exists()
    with free_port(well_known) as lease:
        assert lease.number == well_known


def test_a_lease_ends_with_its_process(well_known: int) -> None:
    """A run that was killed blocks nothing."""
    program = (
        "from local.processes.ports import free_port; "
        f"print(free_port({well_known}).number, flush=True); input()"
    )
    with subprocess.Popen(  # noqa: S603 - a program of this test
        [sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout
        assert int(other.stdout.readline()) == well_known
        with free_port(well_known) as lease:
            assert lease.number != well_known
        other.kill()
    with free_port(well_known) as lease:
        assert lease.number == well_known


def test_a_port_that_a_person_asks_for_is_taken_or_refused(well_known: int) -> None:
    """Never another one instead."""
    with given_port("STATUS_PORT", str(well_known), 0) as lease:
        assert lease.number == well_known
        with pytest.raises(
            StackError, match=f"STATUS_PORT={well_known}: this port of 127.0.0.1 cannot be used"
        ):
            given_port("STATUS_PORT", str(well_known), 0)
    with given_port("STATUS_PORT", "", well_known) as lease:
        assert lease.number == well_known
    with given_port("STATUS_PORT", "0", well_known) as lease:
        assert lease.number != well_known


@pytest.mark.parametrize("text", ["http", "65536", "-1", "80.5", "123456"])
def test_what_is_no_port_is_a_sentence(text: str) -> None:
    """It names the setting."""
    with pytest.raises(StackError, match=f"STATUS_PORT='{text}' is not a port"):
        given_port("STATUS_PORT", text, 0)
