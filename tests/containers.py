"""A private ``lxc:///system``, and containers that need nothing of the machine but the files of one program."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from pathlib import Path

from tests.programs import SEARCH
from tests.servers import System, Unavailable

# libvirt 9.0 starts no container where control groups of version 1 and 2 are mounted side by side. In our own mount
# namespace the second can be taken away; never its folder, which is the machine's.
_UNMIX = """
if [ -d /sys/fs/cgroup/unified ] && [ -d /sys/fs/cgroup/memory ]; then umount /sys/fs/cgroup/unified || true; fi
"""

_DOMAIN = """<domain type='lxc'><name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>64</memory><vcpu>1</vcpu>
<os><type>exe</type><init>/bin/sleep</init><initarg>86400</initarg></os><devices>
<filesystem type='mount'><source dir='{root}'/><target dir='/'/></filesystem><console type='pty'/></devices></domain>"""


class Containers(System):
    """libvirt's LXC driver, in namespaces of its own. Root only."""

    prepare = _UNMIX + System.prepare

    def __init__(self) -> None:
        if not list(Path("/usr").glob("lib*/**/libvirt/connection-driver/libvirt_driver_lxc.so")):
            raise Unavailable("not installed: libvirt-daemon-driver-lxc")
        super().__init__()
        (self.root / "etc/lxc.conf").write_text('security_driver = "none"\n')
        self._files = self.root / "files"
        _with_its_libraries("sleep", self._files)

    @property
    def uri(self) -> str:
        return f"lxc+unix:///system?socket={self.socket}"

    @property
    def guest_pid_folder(self) -> Path:
        return self.root / "run/lxc"

    @property
    def log_folder(self) -> Path:
        return self.root / "log/lxc"

    def container(self, name: str, uuid: str) -> str:
        """The definition of a container that sleeps."""
        return _DOMAIN.format(name=name, uuid=uuid, root=self._files)

    def guest_pids(self) -> list[int]:
        """First the processes in the containers, then those that look after them."""
        keepers = []
        for path in sorted(self.guest_pid_folder.glob("*.pid")):
            with contextlib.suppress(ValueError, OSError):
                pid = int(path.read_text())
                if Path(f"/proc/{pid}/comm").read_text().strip() == "libvirt_lxc":
                    keepers.append(pid)
        return [*(child for pid in keepers for child in _children(pid)), *keepers]


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _with_its_libraries(program: str, root: Path) -> None:
    """The file tree in which a program runs: itself in /bin, and its libraries where it looks for them."""
    found = str(shutil.which(program, path=SEARCH))
    told = subprocess.run(["ldd", found], capture_output=True, text=True, timeout=20, check=True).stdout
    for library in re.findall(r"(/\S+) \(0x", told):
        (root / os.path.dirname(library).lstrip("/")).mkdir(parents=True, exist_ok=True)
        shutil.copy(library, root / library.lstrip("/"))
    for folder in ("bin", "dev", "proc", "sys", "etc", "tmp"):
        (root / folder).mkdir(exist_ok=True)
    shutil.copy(found, root / "bin" / program)
