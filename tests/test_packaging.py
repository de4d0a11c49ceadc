"""The distribution is whole: its wheel, in an empty environment far from the checkout, runs and answers."""

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import pywbem

from agent import generate
from agent.schema import numbers
from tests.running import ANY_PORT, Agent, environment, running

TOP = Path(__file__).parents[1]
PARTS = ("agent", "drivers", "mibs", "mof", "pyproject.toml", "README.md", "LICENSE")


def call(*command: str | Path, cwd: Path, limit: float = 280.0) -> str:
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=limit, check=False, env=environment()
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy, so that nothing is left in the checkout."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for part in PARTS:
        if (TOP / part).is_dir():
            shutil.copytree(TOP / part, source / part, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(TOP / part, source / part)
    call(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, source, cwd=out)
    (made,) = out.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs of an environment that holds the wheel and what it depends on."""
    folder = tmp_path_factory.mktemp("installed")
    call(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    pip = folder / "venv" / "bin" / "pip"
    quiet = ("--quiet", "--disable-pip-version-check")
    call(pip, "install", *quiet, "--constraint", TOP / "constraints.txt", wheel, cwd=folder)
    return folder / "venv" / "bin"


@pytest.fixture(scope="module")
def demo(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    command = (str(installed / "virtmap"),)
    with running("demo", "--uri", "test:///default", *ANY_PORT, command=command, cwd=elsewhere) as agent:
        yield agent


def test_the_wheel_holds_all_data(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    wanted = {*generate.generate(), f"agent/model/{numbers.FILE}", "agent/schema/libvirt_api.tsv", "agent/py.typed"}
    wanted |= {p.relative_to(TOP).as_posix() for folder in ("mibs", "mof") for p in (TOP / folder).rglob("*.j2")}
    wanted |= {p.relative_to(TOP).as_posix() for p in (TOP / "mibs" / "standard").iterdir() if p.is_file()}
    assert wanted - names == set()
    assert not [n for n in names if n.startswith(("tests", "contrib"))]
    assert any(n.endswith("LICENSE") for n in names)


@pytest.mark.timeout(300)
def test_what_is_installed_does_not_need_the_checkout(installed: Path, tmp_path: Path) -> None:
    told = call(installed / "python", "-c", "import agent, drivers; print(agent.__file__)", cwd=tmp_path)
    assert str(TOP) not in told
    assert "everything is as the mapping says" in call(installed / "virtmap", "generate", "--check", cwd=tmp_path)


@pytest.mark.timeout(300)
def test_the_installed_agent_answers_snmp(demo: Agent) -> None:
    walk = demo.commands[0]
    assert str(TOP) not in walk
    done = subprocess.run(walk, shell=True, capture_output=True, text=True, timeout=60, check=False, env=environment())
    assert "VIRTMAP-DOMAIN-MIB::virtmapDomainName.1 = STRING: test" in done.stdout, done.stderr


@pytest.mark.timeout(300)
def test_the_installed_agent_answers_http(demo: Agent) -> None:
    connection = pywbem.WBEMConnection(f"http://127.0.0.1:{demo.port('http://')}", default_namespace="root/virtmap")
    try:
        (domain,) = connection.EnumerateInstances("Virtmap_Domain")
        assert domain["ElementName"] == "test"
    finally:
        connection.close()
