"""How an output is declared: a typed dictionary whose docstrings are the descriptions of its fields."""

from typing import Annotated

from pydantic import ConfigDict, WithJsonSchema, with_config

BY_DOCSTRINGS = with_config(ConfigDict(use_attribute_docstrings=True, extra="forbid"))

Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
"""ISO 8601, with its zone."""
