"""Which AWS region a process uses: what it is told, then AWS_REGION, then AWS_DEFAULT_REGION. Pure.

botocore reads AWS_DEFAULT_REGION alone; the other SDKs of AWS read AWS_REGION, and so do those who set it
(AWS SDKs and tools reference guide, "AWS Region"). After the variables comes the profile's region.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

SET_REGION: Final = "no AWS region is set: set AWS_REGION"

SESSION_VARIABLES: Final[dict[str, Any]] = {"region": ("region", None, None, None)}
"""For a session of botocore: of itself it reads the region of the profile alone."""


def region_in(environment: Mapping[str, str]) -> str | None:
    """The region that the environment names; None: it names none."""
    names = ("AWS_REGION", "AWS_DEFAULT_REGION")
    return next((value for name in names if (value := environment.get(name, "").strip())), None)
