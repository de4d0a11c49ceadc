"""The README tells the truth: its commands are run, its configuration is read, its lists are held against the files."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from agent.config import parse
from tests.running import Agent, environment

TOP = Path(__file__).parents[1]
README = (TOP / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def examples() -> list[tuple[str, str]]:
    """Each command of the README with the output that it shows."""
    found: list[tuple[str, str]] = []
    for block in blocks("console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output))
    return found


def as_here(command: str, demo: Agent) -> str:
    """A command of the README, for the agent that really runs and the environment that we are in."""
    for port, protocol in (("10161", "SNMP on"), ("15988", "http://"), ("15989", "https://")):
        command = command.replace(f"127.0.0.1:{port}", f"127.0.0.1:{demo.port(protocol)}")
    return command.replace("SECRET", demo.secret).replace(".venv/bin", str(Path(sys.executable).parent))


def test_every_command_prints_what_the_readme_shows(demo: Agent) -> None:
    assert len(examples()) >= 6
    for command, shown in examples():
        done = subprocess.run(
            as_here(command, demo), shell=True, cwd=TOP, capture_output=True, text=True, timeout=60, check=False,
            env={**environment(), "COLUMNS": "100"},
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        wanted = ".*".join(re.escape(part) for part in shown.split("...\n"))
        assert re.fullmatch(wanted, done.stdout, re.DOTALL), f"{command}\n{done.stdout}"


def test_the_configuration_of_the_readme_is_right() -> None:
    (text,) = blocks("toml")
    config = parse(text)
    assert config.snmp is not None
    assert config.cim is not None
    assert config.cim.https


def test_what_the_map_of_the_readme_names_is_there() -> None:
    section = README.split("## Where things are")[1].split("\n## ")[0]
    named = [name for line in section.splitlines() if line.startswith("| `") for name in re.findall(r"`([^`]+)`", line)]
    named = [n for n in named if "/" in n]
    assert len(named) > 10
    # the folders of tests stand without tests/ in the row of that folder
    assert [n for n in named if not (TOP / n).exists() and not (TOP / "tests" / n).is_dir()] == []


def test_files_that_the_readme_names_exist() -> None:
    named = set(re.findall(r"`((?:agent|drivers|tests|mibs|mof)/[\w./]+)`", README))
    named |= set(re.findall(r"\]\(([\w./]+)\)", README))
    assert [n for n in sorted(named) if not (TOP / n).exists()] == []


def test_every_dependency_is_explained() -> None:
    section = README.split("## What it is built on")[1]
    explained = set(re.findall(r"^\| ([\w-]+) \|", section, re.MULTILINE)) - {"dependency"}
    project = tomllib.loads((TOP / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = {re.split(r"[>=<]", d)[0] for d in project["dependencies"]}
    assert explained == wanted


@pytest.mark.parametrize("target", ["run", "test", "lint", "generate", "bench"])
def test_every_habit_is_a_target_of_the_makefile(target: str) -> None:
    makefile = (TOP / "Makefile").read_text("utf-8")
    assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_the_changelog_has_the_present_version() -> None:
    import agent

    assert f"## {agent.__version__}" in (TOP / "CHANGELOG.md").read_text("utf-8")


def test_the_constraints_hold_names_and_versions_only() -> None:
    lines = (TOP / "constraints.txt").read_text("utf-8").splitlines()
    assert lines
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.+!-]+", line)] == []
