"""With `make run` people say on the console's pages who they are, unless it is told who knows."""

import pytest

from devstack.run import sign_in
from devstack.stack import PREFIX


def test_nobody_else_knows() -> None:
    assert sign_in({}) == {PREFIX + "CONSOLE_SIGN_IN": "development"}
    assert sign_in({PREFIX + "CONSOLE_SIGN_IN": ""}) == sign_in({})


@pytest.mark.parametrize(
    ("name", "value"),
    [("CONSOLE_SIGN_IN", "gateway"), ("GATEWAY_JWT_KEY", "x" * 32), ("ENVIRONMENT", "production")],
)
def test_what_would_contradict_it_counts(name: str, value: str) -> None:
    assert sign_in({PREFIX + name: value}) == {}
