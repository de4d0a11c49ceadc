"""The direction of dependencies is kept: the contracts of import-linter, run as a test."""

import subprocess
import sys
from pathlib import Path


def test_the_contracts_of_import_linter_are_kept() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    top = Path(__file__).parents[2]
    done = subprocess.run([program, "--no-cache"], cwd=top, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout
