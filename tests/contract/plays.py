"""What managers ask for, so that every function of libvirt is called: plays of steps, one line a step, for each hypervisor.

A step names an operation of the mapping (`Domain.Start`), the row that it is asked of, and its arguments. Steps stand in
an order in which they succeed. On libvirt's test driver, what no step asks for is asked for at the end of the play, with
arguments made up by their types, of any row there is.

Texts may hold `$name`: for what the hypervisor of the play gave that name, paths and the like, or for the result of
that name that an earlier step had last.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from string import Template
from typing import Any

from agent.model import MODEL
from agent.model.block_job import CommitFlags, CopyFlags
from agent.model.domain import ModificationImpact
from agent.model.domain_control import HostnameFlags, LifecycleAction, LifecycleMoment, ProcessSignal
from agent.model.domain_saving import DumpFlags
from agent.model.domain_tuning import PerfKind
from agent.model.guest import AddressSource
from agent.model.host_control import SuspendTarget
from agent.model.migration import MigrationFlags
from agent.model.network import NetworkMetadata, NetworkSection, UpdateCommand
from agent.model.pool import PoolCreateFlags
from agent.model.snapshot import SnapshotFlags
from agent.model.volume import WipeAlgorithm
from agent.schema.declare import Data, Operation, Row
from agent.schema.types import Enumeration, Flags, Secret


@dataclass(frozen=True, kw_only=True)
class Step:
    """One operation to be asked for. `fails` says why it is expected to; `wait` is False for what goes on beside the next steps;
    what succeeds only `soon`, when the step before has got far enough, is asked for again until then. `then` names what the
    play needs from here on, and cannot ask for: the agent in a guest."""

    operation: str
    where: Mapping[str, Any]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    fails: str | None = None
    wait: bool = True
    soon: bool = False
    then: str | None = None

    @property
    def kind(self) -> type[Operation] | None:
        """Its declaration; None while the mapping has none of that name."""
        return BY_NAME.get(self.operation)

    def told(self) -> str:
        return f"{self.operation} of {dict(self.where)}"

    def with_names(self, names: Mapping[str, str]) -> Step:
        """The step with the names in its texts replaced."""

        def filled(value: Any) -> Any:
            return Template(value).safe_substitute(names) if isinstance(value, str) else value

        return replace(
            self,
            where={k: filled(v) for k, v in self.where.items()},
            arguments={k: filled(v) for k, v in self.arguments.items()},
        )


SPOOLED = "data"
"""A file in the spool directory, to be sent."""


def name_of(kind: type[Operation]) -> str:
    return f"{kind.on.__name__}.{kind.__name__}"


BY_NAME: Mapping[str, type[Operation]] = {name_of(o): o for o in MODEL.operations}


def step(
    operation: str,
    where: str | Mapping[str, Any] = "",
    /,
    *,
    fails: str | None = None,
    wait: bool = True,
    soon: bool = False,
    then: str | None = None,
    **arguments: Any,
) -> Step:
    """A step; a bare name is that of the row, and none at all means the only row."""
    at = {"name": where} if isinstance(where, str) and where else where or {}
    assert not isinstance(at, str)
    return Step(operation=operation, where=at, arguments=arguments, fails=fails, wait=wait, soon=soon, then=then)


def made_up(kind: type[Operation]) -> dict[str, Any]:
    """Arguments by their types, for an operation that no step asks for: what has a default is left out."""
    given = {f.name: _made_up(f.semantic.python, f.low) for f in kind.arguments() if f.required}
    if kind.moves is not None:
        given["file"] = SPOOLED if kind.moves is Data.UP else f"{name_of(kind)}.made-up"
    return given


def _made_up(python: Any, low: int | None) -> Any:
    if python is Secret:
        return Secret("open sesame")
    if python is bool:
        return True
    if issubclass(python, Enumeration):
        return next(iter(python))
    if issubclass(python, Flags):
        return python(0)
    if python is int:
        return low or 0
    if python is bytes:
        return b"\0"
    return "<none/>"


def any_row(kind: type[Operation], rows: list[Row]) -> Row | None:
    """A row to ask it of: one in a state that allows it, if there is such a one."""
    allowed = kind.allowed
    for row in rows:
        if allowed is None or getattr(row, allowed.column) in allowed.values:
            return row
    return rows[0] if rows else None


# --- what both can ---------------------------------------------------------------------------------------------------

GUEST = "5d0f0000-0000-4000-8000-0000000000a1"

_MOCK = (
    "<domain type='test'><name>guest</name><uuid>" + GUEST + "</uuid><memory unit='KiB'>1048576</memory>"
    "<currentMemory unit='KiB'>524288</currentMemory><vcpu current='2'>4</vcpu>"
    "<os><type arch='x86_64'>hvm</type></os><devices>"
    "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/guests/a.img'/>"
    "<target dev='vda' bus='virtio'/></disk>"
    "<interface type='network'><mac address='52:54:00:00:00:01'/><source network='default'/>"
    "<target dev='tap0'/></interface><memballoon model='virtio'/></devices></domain>"
)

_QEMU = (
    "<domain type='qemu'><name>guest</name><uuid>" + GUEST + "</uuid>"
    "<memory unit='KiB'>65536</memory>"
    "<currentMemory unit='KiB'>49152</currentMemory><vcpu current='1'>2</vcpu><iothreads>1</iothreads>"
    "<os><type arch='x86_64' machine='pc'>hvm</type></os><features><acpi/></features>"
    "<pm><suspend-to-mem enabled='yes'/></pm><devices>"
    "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='$disk'/>"
    "<target dev='vda' bus='virtio'/></disk>"
    "<controller type='scsi' index='0' model='virtio-scsi'/>"
    "<interface type='network'><mac address='52:54:00:0a:00:01'/><source network='reached'/><model type='virtio'/>"
    "<alias name='ua-nic'/></interface>"
    "<channel type='unix'><target type='virtio' name='org.virtmap.test'/></channel>"
    "<serial type='pty'/><console type='pty'/><graphics type='vnc' port='-1' listen='127.0.0.1' passwd='x'/>"
    "<video><model type='vga'/></video><memballoon model='virtio'/></devices></domain>"
)

_BRIEF = "<domain type='$type'><name>brief</name><memory>32768</memory><os><type arch='x86_64'>hvm</type></os></domain>"
_LATER = "libvirt 9.0 has no such function"
_CPU = "<cpu><arch>x86_64</arch><model>qemu64</model></cpu>"
POOL, SECRET = "5d0f0000-0000-4000-8000-0000000000d1", "5d0f0000-0000-4000-8000-0000000000c1"
_POOL = f"<pool type='dir'><name>$pool</name><uuid>{POOL}</uuid><target><path>$folder/pool</path></target></pool>"


def _volume(name: str, size: int = 1 << 20) -> str:
    return (
        f"<volume><name>{name}</name><capacity>{size}</capacity><allocation>0</allocation>"
        "<target><format type='raw'/></target></volume>"
    )


# --- libvirt's test driver --------------------------------------------------------------------------------------------

_TEST_HOST = (
    step("Host.ReadCapabilities"),
    step("Job.Cancel", {"number": 1}, fails="it has ended"),
    step("Host.ReadSysinfo"),
    step("Host.ReadCpuModels", architecture="x86_64"),
    step("Host.BaselineCpu", xml=f"<processors>{_CPU}</processors>"),
    step("Host.ReadFreeMemory"),
    step("Host.ReadMaxVcpus"),
)

_TEST_DOMAIN = (
    step("Host.DefineDomain", xml=_MOCK),
    step("Domain.SetAutostart", "guest", autostart=True),
    step("Domain.Start", "guest"),
    step("Domain.Suspend", "guest"),
    step("Domain.Resume", "guest"),
    step("Domain.SetMemory", "guest", memory=400000),
    step("Domain.SetVcpus", "guest", vcpus=3),
    step("Domain.ReadXml", "guest"),
    step("Domain.Reboot", "guest"),
    step("Domain.SetUserPassword", "guest", user="root", password=Secret("open sesame")),
    step("Domain.Screenshot", "guest", file="screen.png"),
    step("Domain.PeekMemory", "guest", start=0, size=64),
    step("Domain.Reset", "guest"),
    step("Domain.ManagedSave", "guest"),
    step("Domain.Start", "guest"),
    step("Domain.Shutdown", "guest"),
    step("Domain.Start", "guest"),
)

_SNAPSHOTS = (
    step("Domain.CreateSnapshot", "guest", xml="<domainsnapshot><name>first</name></domainsnapshot>"),
    step("Domain.CreateSnapshot", "guest", xml="<domainsnapshot><name>second</name></domainsnapshot>"),
    step("Snapshot.ReadSnapshotXml", "first"),
    step("Snapshot.ReadRelatives", "first"),
    step("Snapshot.ReadRelatives", "second"),
    step("Snapshot.Revert", "first"),
    step("Snapshot.DeleteSnapshot", "second"),
    step("Snapshot.DeleteSnapshot", "first"),
)

_CHECKPOINTS = (
    step("Domain.CreateCheckpoint", "guest", xml="<domaincheckpoint><name>first</name></domaincheckpoint>"),
    step("Domain.CreateCheckpoint", "guest", xml="<domaincheckpoint><name>second</name></domaincheckpoint>"),
    step("Checkpoint.ReadCheckpointXml", "first"),
    step("Checkpoint.ReadChanges", "first"),
    step("Checkpoint.ReadPlace", "first"),
    step("Checkpoint.ReadPlace", "second"),
    step("Checkpoint.DeleteCheckpoint", "second"),
    step("Checkpoint.DeleteCheckpoint", "first"),
)

_SAVING = (
    step("Domain.Save", "guest", path="$folder/saved"),
    step("Host.ReadSavedXml", path="$folder/saved"),
    step("Host.SetSavedXml", path="$folder/saved", xml="$xml"),
    step("Host.RestoreDomain", path="$folder/saved"),
)

NETWORK, PORT = "5d0f0000-0000-4000-8000-0000000000b1", "5d0f0000-0000-4000-8000-0000000000b2"
_NETWORK = f"<network><name>reached</name><uuid>{NETWORK}</uuid><bridge name='vmreach0'/></network>"
_NETWORKS = (
    step("Host.DefineNetwork", xml=_NETWORK),
    step("Network.StartNetwork", "reached"),
    step("Network.SetNetworkAutostart", "reached", autostart=True),
    step("Network.ReadNetworkXml", "reached"),
    step(
        "Network.UpdateNetwork",
        "reached",
        command=UpdateCommand.ADD_LAST,
        section=NetworkSection.PORTGROUP,
        xml="<portgroup name='slow'/>",
    ),
    step(
        "Network.SetNetworkMetadata",
        "reached",
        type=NetworkMetadata.TITLE,
        value="A title",
        fails=_LATER,
    ),
    step("Network.ReadNetworkMetadata", "reached", type=NetworkMetadata.TITLE, fails=_LATER),
)
_NETWORKS_END = (
    step("Network.StopNetwork", "reached"),
    step("Network.UndefineNetwork", "reached"),
    step("Host.CreateNetwork", xml=_NETWORK),
    step("Network.StopNetwork", "reached"),
)

_PORT = {"network": NETWORK, "uuid": PORT}
_PORTS = (
    step(
        "Network.CreateNetworkPort",
        "reached",
        xml=f"<networkport><uuid>{PORT}</uuid><owner><name>guest</name><uuid>{GUEST}</uuid></owner>"
        "<mac address='52:54:00:7b:35:93'/><bandwidth><inbound average='500'/></bandwidth></networkport>",
    ),
    step("NetworkPort.SetPortParameters", _PORT, inbound_average=1000),
    step("NetworkPort.ReadPortXml", _PORT),
    step("NetworkPort.DeletePort", _PORT),
)

_VDA = {"domain": GUEST, "target": "vda"}
_VCPU, _NIC, _IOTHREAD = {"domain": GUEST, "number": 0}, {"domain": GUEST}, {"domain": GUEST, "number": 2}
_TUNING = (
    step("Domain.SetBlockIo", "guest", blkio_weight=500),
    step("Domain.SetMemoryLimits", "guest", memory_soft_limit=1 << 20),
    step("Domain.SetNuma", "guest", numa_nodes="0", impact=ModificationImpact.CONFIG),
    step("Domain.PinEmulator", "guest", emulator_affinity="0-1"),
    step("Domain.CountPerfEvent", "guest", event=PerfKind.CPU_CLOCK, enabled=True),
    step(
        "Domain.SetLaunchSecret", "guest", header="aGVhZGVy", secret=Secret("aHVzaA=="), fails="no processor with SEV"
    ),
    step("Domain.SetLimitGroup", "guest", group="slow", total_iops=100, fails=_LATER),
    step("Domain.RemoveLimitGroup", "guest", group="slow", fails=_LATER),
    step("Vcpu.PinVcpu", _VCPU, affinity="0-1"),
    step("Disk.SetDiskLimits", _VDA, total_iops=1000, total_iops_max=2000),
    step("Nic.AnnounceNic", _NIC, fails=_LATER),
    step("Domain.AddIOThread", "guest", thread=2),
    step("IOThread.PinIOThread", _IOTHREAD, affinity="0-1"),
    step("IOThread.SetPolling", _IOTHREAD, poll_max=100_000),
    step("IOThread.RemoveIOThread", _IOTHREAD),
)

_CONTROL = (
    step("Domain.SendKeys", "guest", keys="28"),
    step("Domain.InjectNmi", "guest"),
    step("Domain.SetTitle", "guest", title="A title"),
    step("Domain.SetDescription", "guest", description="What it is for"),
    step("Domain.SetMetadata", "guest", uri="http://virtmap.example/note", prefix="note", xml="<note/>"),
    step("Domain.ReadMetadata", "guest", uri="http://virtmap.example/note"),
    step(
        "Domain.SetLifecycleAction",
        "guest",
        moment=LifecycleMoment.REBOOT,
        action=LifecycleAction.RESTART,
        impact=ModificationImpact.CONFIG,
    ),
    step("Domain.SetMaxMemory", "guest", max_memory=1 << 18, impact=ModificationImpact.CONFIG),
    step("Domain.SetMaxVcpus", "guest", config_max_vcpus=4),
    step("Domain.SetBalloonPeriod", "guest", period=5),
    step("Domain.WakeUp", "guest", fails="the guest does not sleep"),
    step("Domain.SetAutostartOnce", "guest", once=True, fails=_LATER),
    step("Domain.ReloadGraphics", "guest", fails=_LATER),
    step("Domain.ReadState", "guest"),
    step("Domain.ReadCpuTimes", "guest"),
    step("Domain.ReadMemoryStatistics", "guest"),
    step("Nic.ReadNicStatistics", _NIC),
)
_TEST_CONTROL = (
    *_CONTROL,
    step("Domain.SetScheduler", "guest", weight=50),
    step("Nic.SetBandwidth", _NIC, in_average=1000),
    step("Domain.SendSignal", "guest", process=1, signal=ProcessSignal.HUP),
    step("Domain.ReadTime", "guest"),
    step("Domain.SetTime", "guest"),
    step("Domain.ReadHostname", "guest"),
)
_QEMU_CONTROL = (
    *_CONTROL,
    step("Domain.SendSignal", "guest", process=1, signal=ProcessSignal.HUP, fails="QEMU cannot"),
    step("Domain.MeasureDirtyRate", "guest"),
)

_TEST_GUEST = (
    step("Domain.ReadFilesystems", "guest"),
    step("Domain.FreezeFilesystems", "guest"),
    step("Domain.ThawFilesystems", "guest"),
    step("Domain.TrimFilesystems", "guest"),
    step("Domain.ReadAddresses", "guest"),
)
_TALKING = (
    "<domain type='qemu'><name>talking</name><memory>32768</memory><vcpu>1</vcpu>"
    "<os><type arch='x86_64' machine='pc'>hvm</type></os><features><acpi/></features>"
    "<pm><suspend-to-mem enabled='yes'/></pm><devices>"
    "<emulator>$emulator</emulator><channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
    "</devices></domain>"
)
_QEMU_GUEST = (
    step("Host.CreateDomain", xml=_TALKING, then="agent"),
    step("Domain.AgentCommand", "talking", command='{"execute":"guest-ping"}', soon=True),
    step("Domain.ReadFilesystems", "talking"),
    step("Domain.FreezeFilesystems", "talking"),
    step("Domain.ThawFilesystems", "talking"),
    step("Domain.TrimFilesystems", "talking"),
    step("Domain.ReadAddresses", "talking", source=AddressSource.AGENT),
    step("Domain.ReadGuestVcpus", "talking"),
    step("Domain.SetGuestVcpus", "talking", vcpus="0", online=True),
    step("Domain.ReadSshKeys", "talking", user="root"),
    step("Domain.SetSshKeys", "talking", user="root", keys="ssh-ed25519 AAAA nobody"),
    step("Domain.SetAgentTimeout", "talking", seconds=5),
    step("Domain.ReadTime", "talking"),
    step("Domain.SetTime", "talking"),
    step("Domain.ReadHostname", "talking", flags=HostnameFlags.AGENT),
    step("Domain.SetUserPassword", "talking", user="root", password=Secret("open sesame")),
    step("Domain.Sleep", "talking"),
    step("Domain.Destroy", "talking"),
)

_ETHERNET = "<interface type='ethernet' name='eth9'><start mode='none'/><mac address='aa:bb:cc:dd:ee:09'/></interface>"
_TEST_INTERFACES = (
    step("Host.BeginInterfaceChange"),
    step("Host.DefineInterface", xml=_ETHERNET),
    step("Host.CommitInterfaceChange"),
    step("Interface.StartInterface", "eth9"),
    step("Interface.ReadInterfaceXml", "eth9"),
    step("Interface.StopInterface", "eth9"),
    step("Host.BeginInterfaceChange"),
    step("Interface.UndefineInterface", "eth9"),
    step("Host.RollbackInterfaceChange"),
)

_TEST_SAVING = (
    step("Domain.DumpCore", "guest", path="$folder/core"),
    *_SAVING,
    step("Domain.ManagedSave", "guest"),
    step("Domain.ReadManagedXml", "guest", fails="the test driver keeps none"),
    step("Domain.DropManagedSave", "guest"),
    step("Host.CreateDomain", xml=_BRIEF),
    step("Domain.Destroy", "brief"),
    step("Domain.StartWithFiles", "guest", files="/dev/null"),
    step("Host.CreateWithFiles", xml=_BRIEF, files="/dev/null"),
    step("Domain.Destroy", "brief"),
)

_TEST_BLOCKS = (
    step("Disk.ReadStatistics", _VDA),
    step("Disk.ReadSizes", _VDA),
    step("Disk.ReadError", _VDA),
)

_TEST_END = (
    step("Domain.Destroy", "guest"),
    step("Domain.Rename", "guest", new_name="renamed"),
    step("Domain.Undefine", "renamed"),
)

_TEST_STORAGE = (
    step("Host.ReadPoolCapabilities", fails="the test driver cannot"),
    step("Host.DefinePool", xml=_POOL),
    step("Pool.BuildPool", "$pool"),
    step("Pool.StartPool", "$pool"),
    step("Pool.SetPoolAutostart", "$pool", autostart=True),
    step("Pool.RefreshPool", "$pool"),
    step("Pool.ReadPoolXml", "$pool"),
    step("Pool.CreateVolume", "$pool", xml=_volume("one.img")),
    step("Pool.CloneVolume", "$pool", xml=_volume("two.img"), source="one.img"),
    step("Volume.MeasureVolume", "one.img"),
    step("Volume.ReadVolumeXml", "one.img"),
    step("Volume.DeleteVolume", "two.img"),
    step("Volume.DeleteVolume", "one.img"),
    step("Pool.StopPool", "$pool"),
    step("Pool.DeletePool", "$pool"),
    step("Pool.UndefinePool", "$pool"),
    step("Host.CreatePool", xml=_POOL),
    step("Pool.StopPool", "$pool"),
    step("Host.FindPoolSources", type="netfs", xml="<source><host name='h'/></source>"),
)

_VPORT = (
    "<device><parent>scsi_host1</parent><capability type='scsi_host'><capability type='fc_host'>"
    "<wwnn>2001001b32a9da5b</wwnn><wwpn>2101001b32a9da5b</wwpn></capability></capability></device>"
)

_TEST_NODE_DEVICE = (
    step("NodeDevice.ReadNodeDeviceXml", "scsi_host1"),
    step("Host.CreateNodeDevice", xml=_VPORT),
    step("NodeDevice.DestroyNodeDevice", "scsi_host12"),
)

TEST: tuple[Step, ...] = (
    *_TEST_HOST,
    *_NETWORKS,
    *_NETWORKS_END,
    *_TEST_INTERFACES,
    *_TEST_STORAGE,
    *_TEST_NODE_DEVICE,
    *_TEST_DOMAIN,
    *_TEST_CONTROL,
    *_TEST_GUEST,
    *_TUNING,
    *_TEST_BLOCKS,
    *_SNAPSHOTS,
    *_CHECKPOINTS,
    *_TEST_SAVING,
    *_TEST_END,
)

# --- QEMU -------------------------------------------------------------------------------------------------------------

_QEMU_HOST = (
    step("Host.ReadCapabilities"),
    step("Job.Cancel", {"number": 1}, fails="it has ended"),
    step("Host.ReadSysinfo", fails="there are no SMBIOS tables in the place of these tests"),
    step("Host.ReadCpuModels", architecture="x86_64"),
    step("Host.CompareCpu", xml=_CPU),
    step("Host.CompareHypervisorCpu", xml=_CPU, architecture="x86_64", virtualization="qemu"),
    step("Host.BaselineCpu", xml=f"<processors>{_CPU}</processors>"),
    step(
        "Host.BaselineHypervisorCpu",
        xml=f"<processors>{_CPU}</processors>",
        architecture="x86_64",
        virtualization="qemu",
    ),
    step("Host.ReadDomainCapabilities"),
    step("Host.ConvertToNative", format="qemu-argv", xml=_BRIEF),
    step("Host.ConvertFromNative", format="qemu-argv", config="qemu", fails="QEMU cannot, since libvirt 5.5"),
    step(
        "Host.SuspendHost", target=SuspendTarget.MEMORY, duration=1 << 62, fails="no clock wakes a host after so long"
    ),
    step("Host.SetMemoryMerging", pages_to_scan=100),  # what the kernel begins with
    step("Host.AllocatePages", size=4, pages=0, fails="small pages are not allocated"),
    step("Host.ReadSevInfo", fails="no processor with SEV"),
    step("Host.ReadFreeMemory"),
    step("Host.ReadMaxVcpus"),
)

_QEMU_DOMAIN = (
    step("Host.DefineDomain", xml=_QEMU),
    step("Domain.SetAutostart", "guest", autostart=True),
    step("Domain.Start", "guest"),
    step("Domain.Suspend", "guest"),
    step("Domain.Resume", "guest"),
    step("Domain.SetMemory", "guest", memory=40960),
    step("Domain.SetVcpus", "guest", vcpus=2, impact=ModificationImpact.CONFIG),
    step("Domain.ReadXml", "guest"),
    step("Domain.Screenshot", "guest", file="screen.png"),
    step("Domain.PeekMemory", "guest", start=0, size=64),
    step("Domain.OpenConsole", "guest", file="console.out", seconds=1),
    step("Domain.OpenChannel", "guest", device="org.virtmap.test", file="channel.out", seconds=1),
    step("Domain.OpenGraphics", "guest", file="graphics.out", seconds=1),
    step("Domain.Reboot", "guest"),
    step("Domain.Reset", "guest"),
    step("Domain.Shutdown", "guest"),
    step("Domain.ManagedSave", "guest"),
    step("Domain.Start", "guest"),
)

_HOT = (
    "<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='$raw'/>"
    "<target dev='sda' bus='scsi'/></disk>"
)

_QEMU_DEVICES = (
    step("Domain.AttachDevice", "guest", xml=_HOT),
    step("Disk.PeekDisk", {"domain": GUEST, "target": "sda"}, offset=0, size=64),
    step("Domain.UpdateDevice", "guest", xml="<graphics type='vnc' port='-1' listen='127.0.0.1' passwd='y'/>"),
    step("Domain.DetachDevice", "guest", xml=_HOT),
    step("Domain.DetachDeviceAlias", "guest", alias="ua-nic"),
)

_QEMU_BLOCKS = (
    step("Disk.ReadStatistics", _VDA),
    step("Disk.ReadSizes", _VDA),
    step("Disk.ReadError", _VDA),
    step("Disk.SetThreshold", _VDA, threshold=1 << 20),
    step("Disk.BlockPull", _VDA),
    step(
        "Disk.BlockCopy",
        _VDA,
        wait=False,
        flags=CopyFlags.REUSE_EXTERNAL | CopyFlags.TRANSIENT_JOB,
        xml="<disk type='file'><source file='$copy'/><driver type='qcow2'/></disk>",
    ),
    step("Disk.ReadBlockJob", _VDA),
    step("BlockJob.SetJobBandwidth", {"domain": GUEST, "disk": "vda"}, bandwidth=1 << 20),
    step("Disk.AbortBlockJob", _VDA),
    step("Disk.ResizeDisk", _VDA, capacity=32 << 20),
    step(
        "Domain.CreateSnapshot",
        "guest",
        flags=SnapshotFlags.DISK_ONLY | SnapshotFlags.NO_METADATA,
        xml="<domainsnapshot><disks><disk name='vda' snapshot='external'><source file='$folder/overlay'/></disk></disks>"
        "</domainsnapshot>",
    ),
    step("Disk.BlockCommit", _VDA, flags=CommitFlags.ACTIVE, pivot=True),
)

_NO_NETCF = "without netcf, libvirt does not change the interfaces of the host"
_QEMU_INTERFACES = (
    step("Interface.ReadInterfaceXml", "lo"),
    step("Host.BeginInterfaceChange", fails=_NO_NETCF),
    step("Host.DefineInterface", xml=_ETHERNET, fails=_NO_NETCF),
    step("Host.CommitInterfaceChange", fails=_NO_NETCF),
    step("Host.RollbackInterfaceChange", fails=_NO_NETCF),
    step("Interface.StartInterface", "lo", fails=_NO_NETCF),
    step("Interface.StopInterface", "lo", fails=_NO_NETCF),
    step("Interface.UndefineInterface", "lo", fails=_NO_NETCF),
)

_QEMU_FILTERS = (
    step(
        "Host.DefineNwFilter",
        xml="<filter name='reached' chain='root'><rule action='drop' direction='in' priority='500'><all/></rule></filter>",
    ),
    step("NwFilter.ReadNwFilterXml", "reached"),
    step(
        "Host.CreateNwFilterBinding",
        xml=f"<filterbinding><owner><name>guest</name><uuid>{GUEST}</uuid></owner><portdev name='lo'/>"
        "<mac address='52:54:00:7b:35:93'/><filterref filter='reached'/></filterbinding>",
    ),
    step("NwFilterBinding.ReadNwFilterBindingXml", {"port": "lo"}),
    step("NwFilterBinding.DeleteNwFilterBinding", {"port": "lo"}),
    step("NwFilter.UndefineNwFilter", "reached"),
)

_QEMU_TUNING = (
    *_TUNING,
    step("Domain.SetScheduler", "guest", cpu_shares=512),
    step("Vcpu.SwitchVcpu", _VCPU, online=True, impact=ModificationImpact.CONFIG, fails="the first vCPU always stays"),
)

_QEMU_MIGRATION = (
    step("Domain.Migrate", "guest", destination="$uri", fails="it is the same host"),
    step("Domain.Migrate", "guest", destination="$uri", flags=MigrationFlags.PEER_TO_PEER, fails="it is the same host"),
    step("Domain.SetMigrateSpeed", "guest", bandwidth=100),
    step("Domain.ReadMigrateSpeed", "guest"),
    step("Domain.SetMaxDowntime", "guest", downtime=100),
    step("Domain.ReadMaxDowntime", "guest"),
    step("Domain.SetMigrateCache", "guest", size=1 << 20),
    step("Domain.ReadMigrateCache", "guest"),
    step("Domain.StartPostCopy", "guest", fails="it is not being migrated"),
    step("Domain.ReadJobStats", "guest"),
    step("Domain.AbortJob", "guest", fails="nothing is being done"),
)

_QEMU_MONITOR = (
    step("Domain.MonitorCommand", "guest", command='{"execute":"query-status"}'),
    step("Host.AdoptProcess", process=1, fails="libvirt cannot, since 5.5"),
)

_QEMU_BACKUP = (
    step(
        "Domain.BeginBackup",
        "guest",
        xml="<domainbackup mode='pull'><server transport='unix' socket='$open/nbd'/><disks><disk name='vda' backup='yes'"
        " type='file'><scratch file='$open/scratch'/></disk></disks></domainbackup>",
    ),
    step("Domain.ReadBackupXml", "guest"),
    step("Domain.EndBackup", "guest"),
)

_QEMU_SAVING = (
    step("Domain.DumpCore", "guest", path="$folder/core", flags=DumpFlags.MEMORY_ONLY),
    *_SAVING,
    step("Domain.ManagedSave", "guest"),
    step("Domain.ReadManagedXml", "guest"),
    step("Domain.SetManagedXml", "guest", xml="$xml"),
    step("Domain.DropManagedSave", "guest"),
    step("Host.CreateDomain", xml=_BRIEF),
    step("Domain.Destroy", "brief"),
    step("Domain.StartWithFiles", "guest", files="/dev/null", fails="QEMU takes no files"),
    step("Host.CreateWithFiles", xml=_BRIEF, files="/dev/null", fails="QEMU takes no files"),
    step("Domain.Start", "guest"),
)

_QEMU_LOGS = (
    step("Log.ReadLog", "guest.log", lines=10),
    step("Log.SearchLog", "guest.log", pattern="starting*qemu"),
    step("Log.DownloadLog", "guest.log", file="guest.log"),
    step("Log.RemoveLog", "guest.log", fails="its guest runs, and it is written"),
    step("Log.ClearLog", "guest.log"),
    step("Domain.RemoveLogs", "guest"),
    step("Host.CleanLogs"),
)

_QEMU_END = (
    step("Nic.SetBandwidth", _NIC, in_average=1000, impact=ModificationImpact.CONFIG),
    step("Domain.Destroy", "guest"),
    step("Domain.Rename", "guest", new_name="renamed"),
    step("Domain.Undefine", "renamed"),
)

_QEMU_STORAGE = (
    step("Host.ReadPoolCapabilities"),
    step("Host.DefinePool", xml=_POOL),
    step("Pool.BuildAndStartPool", "$pool"),
    step("Pool.StopPool", "$pool"),
    step("Pool.BuildPool", "$pool"),
    step("Pool.StartPool", "$pool"),
    step("Pool.SetPoolAutostart", "$pool", autostart=True),
    step("Pool.RefreshPool", "$pool"),
    step("Pool.ReadPoolXml", "$pool"),
    step("Pool.CreateVolume", "$pool", xml=_volume("one.img")),
    step("Pool.CloneVolume", "$pool", xml=_volume("two.img"), source="one.img"),
    step("Volume.MeasureVolume", "one.img"),
    step("Volume.ReadVolumeXml", "one.img"),
    step("Volume.UploadVolume", "one.img", file=SPOOLED),
    step("Volume.UploadVolume", "one.img", file=SPOOLED, sparse=True),
    step("Volume.DownloadVolume", "one.img", file="one"),
    step("Volume.DownloadVolume", "one.img", file="one-sparse", sparse=True),
    step("Volume.ResizeVolume", "one.img", capacity=2 << 20),
    step("Volume.WipeVolume", "two.img", algorithm=WipeAlgorithm.ZERO),
    step("Volume.DeleteVolume", "two.img"),
    step("Volume.DeleteVolume", "one.img"),
    step("Pool.StopPool", "$pool"),
    step("Pool.DeletePool", "$pool"),
    step("Pool.UndefinePool", "$pool"),
    step("Host.CreatePool", xml=_POOL, flags=PoolCreateFlags.BUILD),
    step("Pool.StopPool", "$pool"),
    step("Host.FindPoolSources", type="dir", fails="a directory is not looked for"),
)

_QEMU_SECRET = (
    step(
        "Host.DefineSecret",
        xml=f"<secret ephemeral='no' private='no'><uuid>{SECRET}</uuid><usage type='volume'><volume>/x</volume></usage></secret>",
    ),
    step("StoredSecret.SetSecretValue", {"uuid": SECRET}, value=Secret("swordfish")),
    step("StoredSecret.VerifySecretValue", {"uuid": SECRET}, value=Secret("swordfish")),
    step("StoredSecret.ReadSecretXml", {"uuid": SECRET}),
    step("StoredSecret.UndefineSecret", {"uuid": SECRET}),
)

_QEMU_NODE_DEVICE = (
    step("NodeDevice.ReadNodeDeviceXml", "computer"),
    step("NodeDevice.DetachNodeDevice", "computer", driver="vfio", fails="it is no PCI device"),
    step("NodeDevice.ReattachNodeDevice", "computer", fails="it is no PCI device"),
    step("NodeDevice.ResetNodeDevice", "computer", fails="it is no PCI device"),
    step("NodeDevice.StartNodeDevice", "computer", fails="it is there already"),
    step("NodeDevice.DestroyNodeDevice", "computer", fails="only what was made can be destroyed"),
    step("NodeDevice.UndefineNodeDevice", "computer", fails="only what was defined can be undefined"),
    step("NodeDevice.SetNodeDeviceAutostart", "computer", autostart=True, fails="only what was defined can be started"),
    step("NodeDevice.UpdateNodeDevice", "computer", xml="<device/>", fails=_LATER),
    step(
        "Host.DefineNodeDevice",
        xml="<device><parent>computer</parent><capability type='mdev'><type id='x'/></capability></device>",
        fails="no device of this host has mediated ones",
    ),
    step("Host.CreateNodeDevice", xml=_VPORT, fails="this host has no Fibre Channel"),
)

QEMU: tuple[Step, ...] = (
    *_QEMU_HOST,
    *_NETWORKS,
    *_PORTS,
    *_QEMU_INTERFACES,
    *_QEMU_FILTERS,
    *_QEMU_STORAGE,
    *_QEMU_SECRET,
    *_QEMU_NODE_DEVICE,
    *_QEMU_DOMAIN,
    *_QEMU_LOGS,
    *_QEMU_MONITOR,
    *_QEMU_MIGRATION,
    *_SNAPSHOTS,
    *_CHECKPOINTS,
    *_QEMU_BACKUP,
    *_QEMU_CONTROL,
    *_QEMU_GUEST,
    *_QEMU_TUNING,
    *_QEMU_BLOCKS,
    *_QEMU_DEVICES,
    *_QEMU_SAVING,
    *_QEMU_END,
    *_NETWORKS_END,
)

# --- what cannot be reached here --------------------------------------------------------------------------------------

THROUGH: Mapping[str, str] = {
    "virStreamSendAll": "virStreamSend",
    "virStreamRecvAll": "virStreamRecv",
    "virStreamSparseSendAll": "virStreamSendHole",
    "virStreamSparseRecvAll": "virStreamRecvHole",
    "virConnectGetAllDomainStats": "virDomainListGetStats",
}
"""What is reached by another function: libvirt-python sends and receives all of a stream by itself, piece by piece; and the
statistics of all domains and those of some are one and the same call to the driver of the hypervisor."""

NOT_HERE: Mapping[str, Mapping[str, str]] = {
    "test": {
        "virStreamAbort": "its one stream, of a screenshot, is so short that it is over before it could be aborted"
    },
    "qemu": {},
}
"""Functions that a driver has and that are not called here, each with the reason, and where they are called instead."""
