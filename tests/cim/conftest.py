"""Running servers for the tests of the WBEM server."""

from collections.abc import Iterator

import pytest

from tests.cim.served import Running, serve


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """Eight domains, an anonymous observer."""
    yield from serve({"local": "fake:///?domains=8&details=0"})


@pytest.fixture(scope="module")
def strict() -> Iterator[Running]:
    """Two hypervisors, nobody without credentials."""
    yield from serve({"one": "fake:///?domains=2&seed=1", "two": "fake:///?domains=3&seed=2"}, anonymous=None)
