"""THE mapping: one file for each libvirt object. `MODEL` holds all declarations, checked against the laws."""

from agent.model import domain, domain_events, host
from agent.model.disk import Disk
from agent.model.disk_interval import DiskInterval
from agent.model.disk_latency import DiskLatency
from agent.model.domain import Domain
from agent.model.host import Host
from agent.model.job import Job
from agent.model.nic import Nic
from agent.model.reading import Reading
from agent.model.vcpu import Vcpu
from agent.model.vcpu_statistic import VcpuStatistic
from agent.schema.declare import Model

__all__ = [
    "MODEL", "Disk", "DiskInterval", "DiskLatency", "Domain", "Host", "Job", "Nic", "Reading", "Vcpu", "VcpuStatistic",
]  # fmt: skip

MODEL = Model(
    rows=(Host, Domain, Vcpu, VcpuStatistic, Disk, DiskLatency, DiskInterval, Nic, Reading, Job),
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
    ),
)
