"""Coverage-guided fuzzing of the WBEM server: its HTTP reader, its requests, read in full and quickly, and their answers, and its
query languages.

What has to hold of each stands in the file of its name. For a long search, which adds to the corpora what it finds:

    python -m tests.fuzz.cim_campaign 600 [hypertext | familiar | cim_requests | cim_queries]
"""

from __future__ import annotations

import sys
from typing import Any

from tests.fuzz import cim_queries, cim_requests, familiar, guided, hypertext

CAMPAIGNS: dict[str, guided.Campaign[Any]] = {
    each.corpus.stem: each
    for each in (hypertext.CAMPAIGN, familiar.CAMPAIGN, cim_requests.CAMPAIGN, cim_queries.CAMPAIGN)
}


def main(seconds: float, names: list[str]) -> None:
    """Search for so long in all of these."""
    for name in names:
        CAMPAIGNS[name].run(seconds / len(names), guided.seed_of([]))


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2:] or list(CAMPAIGNS))
