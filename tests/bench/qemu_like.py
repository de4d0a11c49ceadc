"""A libvirt connection that answers as one to QEMU does, from memory, with bulk statistics of the usual size.

It counts round trips.

It stands in for libvirtd where a thousand running QEMU guests cannot be had. What it has no answer for, it does not support, as
libvirt says so: an error with VIR_ERR_NO_SUPPORT.
"""

from __future__ import annotations

import uuid
from collections import Counter
from typing import Any

import libvirt

from agent.model import Disk, Domain, Nic, Vcpu
from agent.schema.declare import Row

DISKS, NICS, VCPUS = 2, 1, 2

_XML = """<domain type='kvm' id='{id}'><name>{name}</name><uuid>{uuid}</uuid><title>A guest</title>
<memory unit='KiB'>4194304</memory><currentMemory unit='KiB'>2097152</currentMemory><vcpu placement='static' current='2'>4</vcpu>
<iothreads>1</iothreads><cputune><shares>1024</shares><vcpupin vcpu='0' cpuset='0-7'/></cputune>
<os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type><boot dev='hd'/></os><features><acpi/><apic/></features>
<on_poweroff>destroy</on_poweroff><on_reboot>restart</on_reboot><on_crash>destroy</on_crash>
<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>{disks}{nics}
<serial type='pty'><target port='0'/></serial><console type='pty'><target type='serial' port='0'/></console>
<graphics type='vnc' port='5900'/><video><model type='virtio'/></video><memballoon model='virtio'/></devices></domain>"""
_DISK = """<disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='none'/>
<source file='/images/{name}-{target}.qcow2'/><target dev='{target}' bus='virtio'/><alias name='virtio-{target}'/></disk>"""
_NIC = """<interface type='network'><mac address='52:54:00:{a:02x}:{b:02x}:{n:02x}'/><source network='default'/>
<target dev='vnet{id}'/><model type='virtio'/><alias name='net{n}'/></interface>"""

_CAPABILITIES = """<capabilities><host><uuid>00000000-0000-4000-8000-000000000099</uuid><cpu><arch>x86_64</arch><model>EPYC</model>
</cpu></host><guest><os_type>hvm</os_type><arch name='x86_64'/></guest></capabilities>"""


def _fields(row: type[Row], prefix: str) -> list[str]:
    """The names of the bulk statistics of a row, without what stands before them."""
    names = [f.stats for f in row.fields if f.stats is not None]
    return [name.partition("<num>.")[2] if prefix else name for name in names if not prefix or name.startswith(prefix)]


_FLAT = [n for n in _fields(Domain, "") if "<" not in n]
_VCPU, _BLOCK, _NET = _fields(Vcpu, "vcpu."), _fields(Disk, "block."), _fields(Nic, "net.")


def unsupported() -> libvirt.libvirtError:
    """libvirt's error for what a driver does not have."""
    told = "this function is not supported by the connection driver"
    error = libvirt.libvirtError(told)
    error.err = (libvirt.VIR_ERR_NO_SUPPORT, 0, told, 2, "", None, None, -1, -1)
    return error


class _Stub:
    """Every method that is not written out here is one that the hypervisor lacks."""

    trips: Counter[str]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def lacking(*_arguments: Any) -> Any:
            self.trips[name] += 1
            raise unsupported()

        lacking.__qualname__ = f"{type(self).__name__}.{name}"
        lacking.__name__ = name
        return lacking


class QemuLikeDomain(_Stub):
    """A running guest. What libvirt keeps in the object (name, UUID, number) costs no round trip."""

    def __init__(self, number: int, trips: Counter[str]) -> None:
        self.trips = trips
        self._number = number
        self._name = f"guest{number}"
        self._uuid = str(uuid.uuid5(uuid.NAMESPACE_OID, self._name))
        self.reading = 0

    def name(self) -> str:
        return self._name

    def UUIDString(self) -> str:
        return self._uuid

    def ID(self) -> int:
        return self._number

    def statistics(self) -> dict[str, Any]:
        """What virConnectGetAllDomainStats tells of it; a few counters move with each reading."""
        self.reading += 1
        now: dict[str, Any] = dict.fromkeys(_FLAT, self.reading * 1000)
        now |= {"state.state": 1, "state.reason": 1, "vcpu.current": VCPUS, "vcpu.maximum": 4}
        now |= {
            "balloon.current": 2097152,
            "balloon.maximum": 4194304,
            "balloon.rss": 1000000,
            "balloon.last-update": 1700000000,
        }
        now |= {"block.count": DISKS, "net.count": NICS, "iothread.count": 1}
        for count, prefix, fields in ((VCPUS, "vcpu", _VCPU), (DISKS, "block", _BLOCK), (NICS, "net", _NET)):
            for n in range(count):
                now |= {
                    f"{prefix}.{n}.{name}": self.reading * 100 + n
                    for name in fields
                    if "<" not in name and "$" not in name
                }
        for n in range(VCPUS):
            now |= {f"vcpu.{n}.state": 1, f"vcpu.{n}.halted": False}
        for n in range(DISKS):
            now |= {f"block.{n}.name": f"vd{'ab'[n]}", f"block.{n}.path": f"/images/{self._name}-vd{'ab'[n]}.qcow2"}
        for n in range(NICS):
            now |= {f"net.{n}.name": f"vnet{self._number}"}
        return now

    def XMLDesc(self, _flags: int = 0) -> str:
        self.trips["XMLDesc"] += 1
        disks = "".join(_DISK.format(name=self._name, target=f"vd{'ab'[n]}") for n in range(DISKS))
        a, b = self._number >> 8 & 0xFF, self._number & 0xFF
        nics = "".join(_NIC.format(a=a, b=b, n=n, id=self._number) for n in range(NICS))
        return _XML.format(id=self._number, name=self._name, uuid=self._uuid, disks=disks, nics=nics)

    def isPersistent(self) -> int:
        self.trips["isPersistent"] += 1
        return 1

    def isUpdated(self) -> int:
        self.trips["isUpdated"] += 1
        return 0

    def OSType(self) -> str:
        self.trips["OSType"] += 1
        return "hvm"

    def vcpus(self) -> Any:
        self.trips["vcpus"] += 1
        return [(n, 1, 1000, n) for n in range(VCPUS)], [(True,) * 8] * VCPUS

    def _told(self, name: str, answer: Any) -> Any:
        self.trips[name] += 1
        return answer

    def schedulerType(self) -> Any:
        return self._told("schedulerType", ("posix", 9))

    def schedulerParametersFlags(self, _flags: int = 0) -> Any:
        return self._told("schedulerParametersFlags", {"cpu_shares": 1024, "vcpu_period": 100000, "vcpu_quota": -1})

    def blkioParameters(self, _flags: int = 0) -> Any:
        return self._told("blkioParameters", {"weight": 500, "device_weight": ""})

    def memoryParameters(self, _flags: int = 0) -> Any:
        return self._told("memoryParameters", {"hard_limit": 2**53 - 1, "soft_limit": 2**53 - 1})

    def numaParameters(self, _flags: int = 0) -> Any:
        return self._told("numaParameters", {"numa_mode": 0, "numa_nodeset": ""})

    def emulatorPinInfo(self, _flags: int = 0) -> Any:
        return self._told("emulatorPinInfo", (True,) * 8)

    def securityLabelList(self) -> Any:
        return self._told("securityLabelList", [["+64055:+64055", False]])

    def controlInfo(self, _flags: int = 0) -> Any:
        return self._told("controlInfo", [0, 0, 0])

    def messages(self, _flags: int = 0) -> Any:
        return self._told("messages", [])

    def perfEvents(self, _flags: int = 0) -> Any:
        return self._told("perfEvents", {f"event{n}": False for n in range(22)})

    def ioThreadInfo(self, _flags: int = 0) -> Any:
        return self._told("ioThreadInfo", [(1, [True] * 8)])

    def blockIoTune(self, _disk: str, _flags: int = 0) -> Any:
        return self._told("blockIoTune", {"total_bytes_sec": 0, "read_iops_sec": 0, "group_name": ""})

    def blockJobInfo(self, _disk: str, _flags: int = 0) -> Any:
        return self._told("blockJobInfo", {})

    def interfaceParameters(self, _device: str, _flags: int = 0) -> Any:
        return self._told("interfaceParameters", {"inbound.average": 0, "outbound.average": 0})

    def listAllSnapshots(self, _flags: int = 0) -> Any:
        return self._told("listAllSnapshots", [])

    def listAllCheckpoints(self, _flags: int = 0) -> Any:
        return self._told("listAllCheckpoints", [])


class QemuLike(_Stub):
    """The connection. `trips` counts the round trips by function."""

    def __init__(self, domains: int) -> None:
        self.trips = Counter()
        self._domains = [QemuLikeDomain(number, self.trips) for number in range(1, domains + 1)]

    def getType(self) -> str:
        return "QEMU"

    def getURI(self) -> str:
        return "qemu:///system"

    def isAlive(self) -> int:
        return 1

    def listAllDomains(self, _flags: int = 0) -> Any:
        self.trips["listAllDomains"] += 1
        return list(self._domains)

    def domainListGetStats(self, domains: Any, _stats: int = 0, _flags: int = 0) -> Any:
        self.trips["domainListGetStats"] += 1
        return [(domain, domain.statistics()) for domain in domains]

    def getInfo(self) -> Any:
        self.trips["getInfo"] += 1
        return ["x86_64", 65536, 16, 2000, 1, 1, 8, 2]

    def getCPUStats(self, _number: int, _flags: int = 0) -> Any:
        self.trips["getCPUStats"] += 1
        return {"kernel": 1, "user": 2, "idle": 3, "iowait": 4}

    def getMemoryStats(self, _number: int, _flags: int = 0) -> Any:
        self.trips["getMemoryStats"] += 1
        return {"total": 67108864, "free": 1000, "buffers": 10, "cached": 20}

    def getHostname(self) -> str:
        self.trips["getHostname"] += 1
        return "host.example"

    def getCapabilities(self) -> str:
        self.trips["getCapabilities"] += 1
        return _CAPABILITIES

    def getVersion(self) -> int:
        self.trips["getVersion"] += 1
        return 7002000

    def getLibVersion(self) -> int:
        self.trips["getLibVersion"] += 1
        return 9000000
