"""With `--hypothesis-seed`, hypothesis draws the same in every run.

By itself it draws constants of the code that is imported by then, too, and so other ones after
other tests of the same process.
"""

import pytest
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants


def pytest_configure(config: pytest.Config) -> None:
    """Leave out the constants of the code if there is a seed."""
    if config.getoption("hypothesis_seed") is not None:
        # There is no setting for it. Without a seed they are welcome.
        providers._get_local_constants = Constants
