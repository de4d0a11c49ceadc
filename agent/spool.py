"""The spool directory: the one place on the agent's own host where operations read and write named files.

A name is a single plain name, never a path. A file is opened relative to the directory, no link is followed, and only
regular files are read; what is written stands under a name of its own until it is complete, and replaces nothing. The
functions block: they are for worker threads.
"""

import os
import re
import stat
from contextlib import suppress
from pathlib import Path

from agent.errors import Failed, Invalid, NotFound

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,199}")
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def unfit_name(name: str) -> str | None:
    """Why this is no name of a spool file, or None."""
    if _NAME.fullmatch(name):
        return None
    return f"{name[:40]!r} is no name of a spool file: letters, digits and ._+- are, beginning with a letter or digit"


class Reading:
    """A file of the spool directory that is read from its beginning."""

    def __init__(self, number: int) -> None:
        self._file = os.fdopen(number, "rb", buffering=0)
        self.size = os.fstat(number).st_size

    def receive(self, most: int) -> bytes:
        """The next bytes, none at the end."""
        return self._file.read(most)

    def close(self) -> None:
        self._file.close()


class Writing:
    """A file of the spool directory that is being made; it has its name only when it is complete."""

    def __init__(self, directory: int, number: int, name: str, limit: int) -> None:
        self._directory, self._name, self._limit = directory, name, limit
        self._file = os.fdopen(number, "wb", buffering=0)
        self.written = 0

    def send(self, data: bytes) -> None:
        """The next bytes. Failed where the file would grow beyond the limit, or the disk is full."""
        if self.written + len(data) > self._limit:
            raise Failed(
                f"spool file {self._name}: more than {self._limit} bytes, which is the limit of the spool directory"
            )
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[self._file.write(rest) or 0 :]
        except OSError as error:
            raise Failed(f"spool file {self._name}: {error.strerror}") from error
        self.written += len(data)

    def finish(self) -> None:
        """It is complete. Failed if its name has been taken meanwhile; what there is under the name stays."""
        try:
            os.fsync(self._file.fileno())
            os.link(_partial(self._name), self._name, src_dir_fd=self._directory, dst_dir_fd=self._directory)
        except OSError as error:
            raise Failed(f"spool file {self._name}: {error.strerror}") from error
        finally:
            self.drop()

    def drop(self) -> None:
        """Forget what was written, unless it has been finished."""
        self._file.close()
        with suppress(OSError):
            os.unlink(_partial(self._name), dir_fd=self._directory)
        with suppress(OSError):
            os.close(self._directory)


def _partial(name: str) -> str:
    return f".{name}.part"


class Spool:
    """The directory, or none: without one every name is refused. No file grows beyond `limit` bytes."""

    def __init__(self, directory: Path | None, limit: int) -> None:
        self.directory, self.limit = directory, limit

    def _open(self, name: str) -> int:
        """The directory as a file number."""
        if (wrong := unfit_name(name)) is not None:
            raise Invalid(wrong)
        if self.directory is None:
            raise Invalid("there is no spool directory; the agent's configuration names one in [spool]")
        try:
            return os.open(self.directory, _DIRECTORY)
        except OSError as error:
            raise Failed(f"the spool directory: {error.strerror}") from error

    def read(self, name: str) -> Reading:
        """A file that is there. NotFound if none of that name is, Invalid if it is no regular file."""
        directory = self._open(name)
        try:
            number = os.open(name, _READ, dir_fd=directory)
        except FileNotFoundError:
            raise NotFound(f"spool file {name}: there is no such file") from None
        except OSError as error:
            raise Invalid(f"spool file {name}: {error.strerror}") from error
        finally:
            os.close(directory)
        if not stat.S_ISREG(os.fstat(number).st_mode):
            os.close(number)
            raise Invalid(f"spool file {name}: is no regular file")
        return Reading(number)

    def write(self, name: str) -> Writing:
        """A new file. Invalid if there is one of that name, or one is being made."""
        directory = self._open(name)
        try:
            with suppress(FileNotFoundError):
                os.stat(name, dir_fd=directory, follow_symlinks=False)
                raise Invalid(f"spool file {name}: there is one already")
            number = os.open(_partial(name), _WRITE, 0o640, dir_fd=directory)
        except FileExistsError:
            os.close(directory)
            raise Invalid(f"spool file {name}: is being written already") from None
        except OSError as error:
            os.close(directory)
            raise Failed(f"spool file {name}: {error.strerror}") from error
        except Invalid:
            os.close(directory)
            raise
        return Writing(directory, number, name, self.limit)
