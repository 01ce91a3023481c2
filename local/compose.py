"""`python -m local.compose PACKAGE FILE`: the one-shot service of compose.yaml, which deploys the pipeline.

It uses the emulator and the MongoDB that the environment names, and the code of `make run`. It writes the
queue URLs for the writer, which are not known before, as lines for a shell: QUEUE_URL=…. A pipeline that
exists already stays as it is, so that `docker compose up` can be run again.
"""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from local.errors import StackError
from local.example import scenario
from local.pipeline.deployment import Deployment, deploy, find
from local.running.pipeline_run import STACK_NAME
from local.stack import Stack


def settings(deployment: Deployment) -> str:
    """The writer's settings that depend on the deployment, as lines for a shell."""
    values = {"QUEUE_URL": deployment.queue_url, "DEAD_LETTER_QUEUE_URL": deployment.dead_letter_queue_url}
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())


def main(arguments: Sequence[str]) -> int:
    """Deploy the pipeline unless it exists, write the file, and return the exit status."""
    if len(arguments) != 2:  # noqa: PLR2004 - PACKAGE and FILE
        sys.stderr.write("Use: python -m local.compose PACKAGE FILE\n")
        return 2
    package, file = map(Path, arguments)
    try:
        with Stack() as stack:
            deployment = find(stack, STACK_NAME) or deploy(
                stack, STACK_NAME, package=package, table=scenario.TABLE
            )
    except StackError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    file.write_text(settings(deployment))
    sys.stdout.write(f"The pipeline of the table {scenario.TABLE} is up: {deployment.queue_url}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
