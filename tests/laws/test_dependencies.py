"""The direction of dependencies is kept: the contracts of import-linter, run as a test."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path


def test_the_contracts_of_import_linter_are_kept() -> None:
    program = Path(sys.executable).with_name("lint-imports")
    top = Path(__file__).parents[2]
    done = subprocess.run([program, "--no-cache"], cwd=top, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_every_module_has_its_place_in_the_contracts() -> None:
    """A module that no layer names would be free to import anything."""
    top = Path(__file__).parents[2]
    contracts = tomllib.loads((top / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    placed = {name for layer in contracts[0]["layers"] for name in re.split(r"\s*[|:]\s*", layer)}
    inner = {f"agent.{p.stem}" for p in (top / "agent").iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    assert inner - {"agent.__init__"} == placed
    outermost = {"agent.__main__", "agent.cli"}
    may = {"agent.driver", "agent.model", "agent.schema", "agent.errors", "agent.patterns"}
    assert placed - may == set(contracts[1]["forbidden_modules"])
    assert placed - outermost == set(contracts[2]["source_modules"])
