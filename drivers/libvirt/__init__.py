"""Hypervisors that libvirt reaches: any URI, one connection, the whole contract of `agent.driver`.

`login` opens, `connection` watches, `calls` calls, `xml` and `stats` are pure, `reading` makes rows, `perform` does
operations, `events` tells what happens, `errors` translates failures, and `driver` holds them together.
"""

from drivers.libvirt.driver import LibvirtDriver

__all__ = ["LibvirtDriver"]
