"""THE mapping: one file for each libvirt object. `MODEL` holds all declarations, checked against the laws."""

from agent.model import (
    alarm,
    block_job,
    checkpoint,
    connection,
    device_events,
    domain,
    domain_control,
    domain_devices,
    domain_events,
    domain_saving,
    domain_streams,
    domain_tuning,
    guest,
    host,
    host_control,
    host_resources,
    interface,
    iothread,
    log,
    migration,
    monitor,
    network,
    node_device,
    nwfilter,
    nwfilter_binding,
    pool,
    secret,
    snapshot,
    volume,
    volume_transfer,
)
from agent.model.disk import Disk
from agent.model.disk_interval import DiskInterval
from agent.model.disk_latency import DiskLatency
from agent.model.domain import Domain
from agent.model.host import Host
from agent.model.job import Cancel, Job
from agent.model.nic import Nic
from agent.model.reading import Reading
from agent.model.vcpu import Vcpu
from agent.model.vcpu_statistic import VcpuStatistic
from agent.schema.declare import Model

__all__ = [
    "MODEL", "Disk", "DiskInterval", "DiskLatency", "Domain", "Host", "Job", "Nic", "Reading", "Vcpu", "VcpuStatistic",
]  # fmt: skip

_PARTS = (
    host_resources,
    host_control,
    domain_tuning,
    iothread,
    domain_control,
    domain_saving,
    domain_devices,
    block_job,
    snapshot,
    checkpoint,
    guest,
    migration,
    domain_streams,
    monitor,
    network,
    interface,
    nwfilter,
    nwfilter_binding,
    pool,
    volume,
    volume_transfer,
    secret,
    node_device,
    connection,
    log,
    alarm,
)
"""Files that list what they declare; a parent's file stands before those of its children."""

MODEL = Model(
    rows=(
        Host,
        Domain,
        Vcpu,
        VcpuStatistic,
        Disk,
        DiskLatency,
        DiskInterval,
        Nic,
        *(row for part in _PARTS for row in part.ROWS),
        Reading,
        Job,
    ),
    operations=(
        host.DefineDomain,
        host.ReadCapabilities,
        domain.Start,
        domain.Shutdown,
        domain.Reboot,
        domain.Reset,
        domain.Destroy,
        domain.Suspend,
        domain.Resume,
        domain.ManagedSave,
        domain.SetMemory,
        domain.SetVcpus,
        domain.SetAutostart,
        domain.ReadXml,
        domain.SetUserPassword,
        domain.Undefine,
        *(operation for part in _PARTS for operation in part.OPERATIONS),
        Cancel,
    ),
    events=(
        domain_events.DomainDefined,
        domain_events.DomainUndefined,
        domain_events.DomainStarted,
        domain_events.DomainSuspended,
        domain_events.DomainResumed,
        domain_events.DomainStopped,
        domain_events.DomainShutdown,
        domain_events.DomainPmSuspended,
        domain_events.DomainCrashed,
        domain_events.DomainAppeared,
        domain_events.DomainVanished,
        domain_events.DomainStateFound,
        *device_events.EVENTS,
        *(event for part in _PARTS for event in part.EVENTS),
    ),
)
