"""Profiles of the DMTF, as views over the rows: the virtual systems of DSP1042 and DSP1057, what they are allotted, and logs.

Files that declare what a client of the profiles sees (`configuration`, `resources`, `management`, `logs`) are tables in the
language of `view`. What the methods of the management service do stands in `service`.
"""

from __future__ import annotations

from agent.cim.profiles import configuration, logs, management, resources
from agent.cim.profiles.view import Profiles

__all__ = ["PROFILES"]

_AREAS = (configuration, resources, management, logs)

PROFILES = Profiles(
    views=tuple(view for area in _AREAS for view in area.VIEWS),
    ties=tuple(tie for area in _AREAS for tie in area.TIES),
)
