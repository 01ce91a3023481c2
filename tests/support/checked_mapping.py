"""A mapping with its hooks, and `replicator check-config` as it is typed."""

from __future__ import annotations

import re

from typer.testing import CliRunner

from ops.cli import app

MAPPING = """
tables:
  orders-*: {collection: "o_*", database: archive, ttl_deletes: keep}
  people:
    database: crm
    collection: customers
    key: [tenant, id]
    numbers: decimal128
    mode: merge
    deletes: mark
    metadata_field: meta
    id_attribute: external_id
    exclude: [secret, address.geo]
    fields:
      created_at: {convert: epoch_seconds}
      age: {default: null}
      first: {rename: given_name, default: "?"}
      junk: {drop: true}
    hook: hooks_of_the_command:hook
  places: {key: [id], shard_key: [region], include: [id, region]}
"""

HOOKS = """
print("imported")


def hook(document, change):
    print("called")
    if "raise" in document:
        raise ValueError("so it is")
    return None if "none" in document else document
"""


def run(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
    """Exit status, output, and what was said beside it, in one line and without the frame."""
    result = CliRunner().invoke(app, ["check-config", *arguments], input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    plain = re.sub(r"\x1b\[[\d;]*m", "", result.stderr)
    return result.exit_code, result.stdout, " ".join(re.sub("[─│╭╮╰╯]", " ", plain).split())
