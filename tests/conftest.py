"""What tests of several folders use."""

from collections.abc import Iterator

import pytest

from tests.running import ANY_PORT, Agent, running


@pytest.fixture(scope="module")
def demo() -> Iterator[Agent]:
    """A `virtmap demo` of the test driver on free ports, one for all tests of a module."""
    with running("demo", *ANY_PORT) as agent:
        yield agent
