"""virtmap: the libvirt driver API as SNMP MIB tables and CIM classes, from one declared mapping."""

__version__ = "0.1.0"
