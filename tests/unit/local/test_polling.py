import pytest

from local.errors import StackError
from local.polling import wait_until


def test_a_deadline_names_what_was_waited_for() -> None:
    """The message is a sentence for a person."""
    with pytest.raises(StackError, match=r"Waited 0 s for a miracle, and gave up\."):
        wait_until(lambda: None, timeout_s=0, what="a miracle")
