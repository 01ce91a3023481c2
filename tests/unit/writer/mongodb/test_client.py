"""A connection string with a wrong option: the sentence names the option, and never a secret."""

from __future__ import annotations

import pytest

from shared.errors import FatalError
from writer.mongodb.client import make_client

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("tsl=true", "does not know: tsl (did you mean tls?)"),
        (f"paswort={SECRET}", "does not know: paswort (did you mean"),
        (f"tls={SECRET}", "tls must be 'true' or 'false'"),
        (f"connectTimeoutMS={SECRET}", "connecttimeoutms must be an integer or float"),
        (f"{SECRET}=1@host/", "an option that PyMongo does not know"),  # the end of a password, not an option
    ],
)
def test_a_wrong_option_is_named(options: str, words: str) -> None:
    """The driver's text has the name; its value stays out."""
    with pytest.raises(FatalError) as raised:
        make_client(f"mongodb://{SECRET}:{SECRET}@host/?{options}", 1)
    assert words in str(raised.value)
    assert SECRET not in str(raised.value)
