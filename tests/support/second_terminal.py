"""A terminal for the lines that documents and commands show, beside an emulator and a MongoDB that run.

In it `aws` and `mongosh` are the locked ones, and `docker` and `make` stand-ins. No `aws` can leave the
machine: the endpoint is given to each call, and the program ends itself before it connects to elsewhere.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pymongo.uri_parser

from local.paths import ROOT
from local.processes.child import base_environment
from local.processes.ports import HOST
from local.servers.emulator import AWS_VARIABLES
from tests.support.tools import find

if TYPE_CHECKING:
    from collections.abc import Sequence

GUARD = Path(__file__).with_name("loopback_only")
# `--endpoint-url`, because version 1 sends `aws sqs` to AWS whatever AWS_ENDPOINT_URL says
# (github.com/aws/aws-cli/issues/8737).
AWS = f"""\
#!/bin/sh
PYTHONPATH={GUARD} "$REAL_AWS" "$@" --endpoint-url "$AWS_ENDPOINT_URL"
status=$?
echo "$status $(echo "$*" | tr "\\n" " ")" >> "$AWS_LINES"
exit $status
"""
# In the service `mongodb` the shell is beside its server, which has the port that mongosh takes by default.
DOCKER = """\
#!/bin/sh
case "$1 $2 $3 $4" in
  "compose exec mongodb mongosh") shift 4; exec mongosh --port "$MONGODB_PORT" "$@" ;;
  "login "*) test -n "$(cat)" ;;
  "build "*|"buildx build "*|"run "*) ;;
  *) echo "no stand-in for docker $*" >&2; exit 1 ;;
esac
"""
MAKE = """\
#!/bin/sh
test "$*" = package && mkdir -p build && cp "$PRODUCER_PACKAGE" build/producer.zip
"""


class Terminal:
    """Its folder is as a checkout: the templates, a mapping, and the programs of `.venv`.

    Attributes:
        folder: where the lines run.
    """

    def __init__(self, folder: Path, *, endpoint_url: str, mongodb_uri: str, package: Path) -> None:
        """Prepares the folder.

        Args:
            folder: an empty one.
            endpoint_url: the emulator's.
            mongodb_uri: of a replica set of one.
            package: what `make package` makes.
        """
        self.folder = folder
        shutil.copytree(ROOT / "deploy", folder / "deploy", ignore=shutil.ignore_patterns("*.py", "*.json"))
        shutil.copy(ROOT / "replication.yaml", folder)
        (folder / ".venv").symlink_to(ROOT / ".venv")
        programs = folder / "bin"
        programs.mkdir()
        for name, text in {"aws": AWS, "docker": DOCKER, "make": MAKE}.items():
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        if mongosh := find("mongosh"):
            (programs / "mongosh").symlink_to(mongosh)
        settings = folder / "home" / ".mongodb" / "mongosh" / "config"
        settings.parent.mkdir(parents=True)
        settings.write_text(json.dumps({"enableTelemetry": False}))
        ((_, port),) = pymongo.uri_parser.parse_uri(mongodb_uri)["nodelist"]
        path = [str(programs), str(Path(sys.executable).parent), os.environ["PATH"]]
        self._environment = {
            **base_environment(),
            **AWS_VARIABLES,
            "AWS_ENDPOINT_URL": endpoint_url,
            "AWS_LINES": str(folder / "aws-lines"),
            "HOME": str(folder / "home"),
            "LOOPBACK_ONLY_NOTES": str(folder / "left"),
            "MONGODB_PORT": str(port),
            "MONGODB_URI": mongodb_uri,
            "PATH": os.pathsep.join(path),
            "PRODUCER_PACKAGE": str(package),
            "REAL_AWS": find("aws") or "",
        }

    def run(self, script: str, *, statuses: Sequence[int] = (0,), **environment: str) -> str:
        """Runs lines as bash does that stops at the first failure; returns what they print.

        Every `aws` in them ends with status 0, also where the line hides how it ended.
        """
        notes, left = (Path(self._environment[name]) for name in ("AWS_LINES", "LOOPBACK_ONLY_NOTES"))
        notes.write_text("")
        done = self._bash(script, environment)
        assert not left.exists(), left.read_text()
        said = f"{script}\n{done.stdout}{done.stderr}"
        assert done.returncode in statuses, said
        assert not [line for line in notes.read_text().splitlines() if not line.startswith("0 ")], said
        return done.stdout

    def refused(self, line: str) -> str:
        """Why the AWS CLI does not call AWS with this line; empty: it would, its parameters are valid.

        It is run against a port where nobody listens.
        """
        done = self._bash(line, {"AWS_ENDPOINT_URL": f"http://{HOST}:1", "AWS_MAX_ATTEMPTS": "1"})
        would_call = f'Could not connect to the endpoint URL: "http://{HOST}:1/' in done.stderr
        return "" if would_call else done.stdout + done.stderr

    def _bash(self, script: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - lines of our own documents
            ["/bin/bash", "-euo", "pipefail", "-c", script],
            cwd=self.folder,
            env=self._environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
