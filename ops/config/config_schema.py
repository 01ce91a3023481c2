"""`replicator config-schema`: the JSON Schema of `replication.yaml`, for editors."""

from __future__ import annotations

import typer

from ops.config.schema import schema_text


def command() -> None:
    """Print the JSON Schema of replication.yaml.

    Editors check and complete the file with it. The same text is replication.schema.json in the repository.
    """
    typer.echo(schema_text(), nl=False)
