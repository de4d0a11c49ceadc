"""Logs of the fake with records that a test knows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from agent.model.log import Log, LogRecord, LogRotation
from agent.schema.declare import Row
from drivers.fake.values import made_up
from tests.cim.served import Running

BEGAN = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)


def put_log(
    running: Running, path: str, texts: Sequence[str], first: int = 1, on: str = "local", **known: Any
) -> list[Row]:
    """A log with these records, a second apart, the oldest with the number ``first``, in place of what was there. Gives its
    rows."""
    log = made_up(
        Log, (), 1, {"path": path, "host": on, "records": len(texts), "rotation": LogRotation.VIRTLOGD, **known}
    )
    records = [
        made_up(
            LogRecord,
            (path,),
            number,
            {"text": text, "number": number, "time": BEGAN + timedelta(seconds=number - first)},
        )
        for number, text in enumerate(texts, first)
    ]
    put_rows(running, log, *records, on=on)
    return [log, *records]


def put_rows(running: Running, *rows: Row, on: str = "local") -> None:
    """An object of the fake that has these rows, itself first, and is read by the server."""
    running.drivers[on].put(*rows)
    running.run(running.inventories[on].refresh)
