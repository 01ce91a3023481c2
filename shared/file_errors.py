"""Why a file cannot be read or written, as words for a person. Pure.

The text of Python's own errors has the error's number, and repeats the path.
"""

from __future__ import annotations


def words_of_file_error(error: OSError | UnicodeError) -> str:
    """Such as `No such file or directory`."""
    if isinstance(error, UnicodeError):
        return "it is not UTF-8"
    return error.strerror or type(error).__name__
