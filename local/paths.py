"""The paths of things in a checkout. Nothing here checks whether they exist."""

import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
TEMPLATE: Final = ROOT / "deploy" / "pipeline.yaml"
REPLICATION_FILE: Final = ROOT / "replication.yaml"
ENVIRONMENT: Final = ROOT / ".venv"
# The emulator pins its own botocore, so its packages never meet ours (see the Makefile).
STACK_ENVIRONMENT: Final = ROOT / ".venv-stack"
STACK_PYTHON: Final = STACK_ENVIRONMENT / "bin" / "python"
STACK_PACKAGES: Final = (
    STACK_ENVIRONMENT / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
)
# LocalStack's packages fit neither ours nor the emulator's.
LOCALSTACK_PYTHON: Final = ROOT / ".venv-localstack" / "bin" / "python"
