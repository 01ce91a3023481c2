"""What `make lint` hands to the linter of IAM policies is all that the roles may do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from local import paths
from tests.support.policies import main

if TYPE_CHECKING:
    from pathlib import Path

TEMPLATES = sorted((paths.ROOT / "deploy").glob("*.yaml"))


def test_every_statement_of_every_role_is_looked_at(tmp_path: Path) -> None:
    """Also those that a parameter adds; and no function of CloudFormation is left in them."""
    main(tmp_path, *TEMPLATES)
    policies = {path.stem: path.read_text() for path in tmp_path.iterdir()}
    assert policies.keys() == {"pipeline-ProducerRole", "writer-ExecutionRole", "writer-TaskRole"}
    found = {each["Sid"] for text in policies.values() for each in json.loads(text)["Statement"]}
    named = {
        line.partition("Sid: ")[2].split()[0]
        for path in TEMPLATES
        for line in path.read_text().splitlines()
        if "Sid: " in line
    }
    assert found == named
    assert not any("Fn::" in text or '"Ref"' in text for text in policies.values())
