from functools import partial

import pytest

from local.errors import StackError
from local.example.scenario import JOHN, await_documents
from local.polling import wait_until


def test_a_document_that_never_comes_right_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has the difference, and not only the timeout."""
    monkeypatch.setattr("local.example.scenario.wait_until", partial(wait_until, timeout_s=0))
    with pytest.raises(StackError, match="has no version in _ddb"):
        await_documents(lambda: [dict(JOHN)], [JOHN], lambda: None)


def test_waiting_ends_when_a_part_of_the_pipeline_dies() -> None:
    """A dead writer is reported as the reason, at once."""

    def check() -> None:
        raise StackError("The writer stopped unexpectedly.")

    with pytest.raises(StackError, match=r"^The writer stopped unexpectedly\.$"):
        await_documents(list, [JOHN], check)
