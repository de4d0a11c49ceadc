"""What is left out of the mapping, each function with the reason an operator would accept.

A function that is neither named by a declaration nor given a reason here counts as missing in `virtmap coverage`. There are
two kinds of reasons: a newer function that is mapped does the same, and does it better; or the function has nothing to
say about a hypervisor, because it serves programs in C, or because it administers the daemon itself.
"""

import enum
import re

from agent.schema import libvirt_api


class Reason(enum.StrEnum):
    """Why a function that nothing supersedes is left out."""

    REFERENCES = "reference counting: gives back or keeps an object in the memory of a C program"
    LOOKUP = "lookup: turns a name into an object in memory; here the key of a row does that, in every request"
    BACK = "from an object in memory back to what it belongs to; here the key of a row tells it"
    ERRORS = "error object: every request that fails tells libvirt's message"
    PARAMETERS = "typed-parameter helper: builds or reads the arguments of other functions in memory"
    LOOP = "event loop of the program that uses the library: the agent runs it"
    OPENING = "opens or closes the agent's connection, as its configuration says"
    TRANSFER = "plumbing of a transfer: the operations that move data use what they need of it"
    DESCRIPTORS = "takes open files of the calling process, which a request over the network does not have"
    PROCESS = "acts on the calling process, not on a hypervisor"
    DAEMON = "administers the daemon, not a hypervisor; not in the Python binding"


_OBJECT = r"vir(Connect|Domain|DomainSnapshot|DomainCheckpoint|Interface|Network|NetworkPort|NodeDevice|NWFilter|NWFilterBinding|Secret|StoragePool|StorageVol|Stream)"

_RULES: tuple[tuple[str, Reason], ...] = (
    (rf"{_OBJECT}(Ref|Free)", Reason.REFERENCES),
    (r"virDomain(FSInfo|IOThreadInfo|Interface|StatsRecordList)Free|virNetworkDHCPLeaseFree", Reason.REFERENCES),
    (rf"{_OBJECT}Lookup(By|SCSIHostBy)\w+", Reason.LOOKUP),
    (rf"{_OBJECT}Get(Connect|Domain|Network)", Reason.BACK),
    (r"vir(Conn)?(Copy|Get|Reset|Save)LastError(Code|Domain|Message)?", Reason.ERRORS),
    (r"vir(Conn)?SetErrorFunc|virDefaultErrorFunc|virFreeError|virResetError", Reason.ERRORS),
    (r"virTypedParams\w+", Reason.PARAMETERS),
    (r"virEvent\w+|virInitialize", Reason.LOOP),
    (r"virConnect(Open|OpenAuth|OpenReadOnly|Close|SetKeepAlive|SetIdentity)", Reason.OPENING),
    (r"virStream(New|Event\w+Callback)", Reason.TRANSFER),
    (r"virDomainFDAssociate", Reason.DESCRIPTORS),
    (r"virDomainLxc\w+", Reason.PROCESS),
)
"""Patterns of whole names. They speak of plumbing only: no pattern excuses a function that is mappable."""


def reason(name: str) -> str | None:
    """Why the function may be left out, or None if it may not. "superseded by X" holds only where X is mapped."""
    function = libvirt_api.functions()[name]
    if function.superseded_by is not None:
        return f"superseded by {function.superseded_by}"
    if function.library == "libvirt-admin":
        return Reason.DAEMON
    if function.mappable:
        return None
    return next((told for pattern, told in _RULES if re.fullmatch(pattern, name)), None)
