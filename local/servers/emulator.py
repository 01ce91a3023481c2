"""What the AWS emulators have in common: their well-known port, the region and the credentials."""

import os
from collections.abc import Mapping
from typing import Final

PREFERRED_PORT: Final = 4566
REGION: Final = "us-east-1"
# LocalStack and emulators like it accept any credentials; their manuals use these.
ACCESS_KEY: Final = "test"

AWS_VARIABLES: Final[Mapping[str, str]] = {
    "AWS_DEFAULT_REGION": REGION,
    "AWS_ACCESS_KEY_ID": ACCESS_KEY,
    "AWS_SECRET_ACCESS_KEY": ACCESS_KEY,
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""For a process that uses an AWS SDK: these credentials, and no profile of the person who runs it."""
