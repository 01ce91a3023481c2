"""What several tests share."""

import pytest

# Only in test modules and in those named here does a failed assertion show its values.
pytest.register_assert_rewrite(
    "tests.support.mapped_changes",
    "tests.support.mapped_documents",
    "tests.support.pipeline_model",
    "tests.support.plans",
    "tests.support.writer_on_fakes",
)
