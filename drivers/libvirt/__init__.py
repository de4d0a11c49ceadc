"""Hypervisors that libvirt reaches: any URI, one connection, the whole contract of `agent.driver`.

`connection` opens and watches, `calls` calls, `xml` and `stats` are pure, `reading` makes rows, `perform` does
operations, `events` tells what happens, `errors` translates failures, and `driver` holds them together.
"""

from drivers.libvirt.driver import LibvirtDriver

__all__ = ["LibvirtDriver"]
