"""A table and what follows it, for all tests of the process."""

from tests.contract.follow.test_process import people

__all__ = ["people"]
