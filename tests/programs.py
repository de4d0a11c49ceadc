"""Programs that tests run: where one is missing a test is skipped and says so, but in CI it fails."""

import os
import shutil
import sysconfig
from typing import NoReturn

import pytest

SEARCH = os.pathsep.join((sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))


def program(name: str, package: str) -> str:
    """The path of a program that this package brings."""
    return shutil.which(name, path=SEARCH) or unavailable(f"{name} is not installed; {package} brings it")


def unavailable(reason: str) -> NoReturn:
    """Skip the test for this reason, or fail it where CI is set."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
