"""What the commands print with `--json`: the one declaration, of which `ops/schemas/` is made.

mypy checks what the commands build by it, and tests what they print. A new field is a field here, with its
docstring. A key of an item is an object everywhere, a time is ISO 8601 with its zone, and null is what is not
known or not there. Who needs the types alone imports this for type checking: pydantic takes a while to load.
"""
