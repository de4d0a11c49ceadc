"""Indications on their way to a listener, as CIM-XML: the request that takes one there, and what the answer says of it
(DSP0200 5.2.3, DSP0201 5.2)."""

from __future__ import annotations

import enum
from typing import NamedTuple

import pywbem

from agent.cim.held import instance_xml
from agent.cim.instances import Wanted
from agent.cim.messages import escape
from agent.cim.status import Status
from agent.cim.tree import Element, Limits, TreeError, parse

__all__ = ["HEADERS", "LONGEST_ANSWER", "Outcome", "Verdict", "judged", "message"]

HEADERS = {
    "Content-Type": 'application/xml; charset="utf-8"',
    "CIMExport": "MethodRequest",
    "CIMExportMethod": "ExportIndication",
}

LONGEST_ANSWER = 65_536
"""Octets of an answer that are read."""

#: Answers of HTTP to a request that is not liked, and would not be liked the next time.
_NOT_LIKED = frozenset((400, 405, 406, 411, 413, 414, 415, 417, 422, 431, 501, 505, 510))

#: Errors of CIM that may have passed the next time.
_PASSING = frozenset(
    (Status.FAILED, Status.ACCESS_DENIED, Status.SERVER_LIMITS_EXCEEDED, Status.SERVER_IS_SHUTTING_DOWN)
)


class Outcome(enum.Enum):
    """What became of an attempt. What was refused need not be tried again; what failed may."""

    DELIVERED = "delivered"
    REFUSED = "refused"
    FAILED = "failed"


class Verdict(NamedTuple):
    """How an attempt ended, and why, for people."""

    outcome: Outcome
    why: str = ""


def message(indication: pywbem.CIMInstance, identity: str) -> bytes:
    """The request that hands over an indication; `identity` tells it from others."""
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<CIM CIMVERSION="2.0" DTDVERSION="2.0">'
        f'<MESSAGE ID="{escape(identity)}" PROTOCOLVERSION="1.0"><SIMPLEEXPREQ><EXPMETHODCALL NAME="ExportIndication">'
        f'<EXPPARAMVALUE NAME="NewIndication">{instance_xml(indication, Wanted())}</EXPPARAMVALUE>'
        "</EXPMETHODCALL></SIMPLEEXPREQ></MESSAGE></CIM>"
    ).encode()


def judged(status: int, body: bytes) -> Verdict:
    """What an answer of HTTP with this status code and content says."""
    if status != 200:
        outcome = Outcome.REFUSED if status in _NOT_LIKED else Outcome.FAILED
        redirect = "; redirections are not followed" if 300 <= status < 400 else ""
        return Verdict(outcome, f"the listener answers with HTTP status {status}{redirect}")
    if len(body) > LONGEST_ANSWER:
        return Verdict(Outcome.FAILED, f"the answer is longer than {LONGEST_ANSWER} octets")
    try:
        root = parse(body, Limits(size=LONGEST_ANSWER))
    except TreeError as error:
        return Verdict(Outcome.FAILED, f"the answer is not CIM-XML: {error}")
    response = _descended(root, "CIM", "MESSAGE", "SIMPLEEXPRSP", "EXPMETHODRESPONSE")
    if response is None:
        return Verdict(Outcome.FAILED, "the answer is not that to an indication")
    complaints = response.of("ERROR")
    return _complaint(complaints[0]) if complaints else Verdict(Outcome.DELIVERED)


def _descended(root: Element, *tags: str) -> Element | None:
    """The element at the end of this chain of tags, of which the root has the first."""
    at = root if root.tag == tags[0] else None
    for tag in tags[1:]:
        at = next((child for child in at.children if child.tag == tag), None) if at is not None else None
    return at


def _complaint(error: Element) -> Verdict:
    code = error.attributes.get("CODE", "")
    described = error.attributes.get("DESCRIPTION", "")[:200]
    passing = not code.isdecimal() or int(code) in _PASSING
    return Verdict(
        Outcome.FAILED if passing else Outcome.REFUSED,
        ascii(f"the listener answers with CIM error {code}: {described}")[1:-1],
    )
