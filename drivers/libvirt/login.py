"""How a connection is opened: as whom, and whether only to look.

Hypervisors ask in the course of an opening: libvirtd through SASL, ESX and its like, an SSH server, the test driver. Each
question has a kind, and a prompt that is written for people. A user's name and a secret are what we have to answer with,
read when they are asked for, so that a password that was changed holds from the next opening on. Anything else would need
somebody who looks, such as a host key that nobody has seen before, and is refused. So is a question that is put a second
time: its answer was wrong, and would be so again. Whoever tries the same wrong password again and again is taken for
somebody who guesses, and locked out; that must not come of a connection that is opened anew until it holds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import libvirt

from agent.errors import Denied, Unreachable, VirtmapError
from agent.schema.types import Secret
from drivers.libvirt.errors import kind_of, translated, without

NAMES = frozenset((libvirt.VIR_CRED_USERNAME, libvirt.VIR_CRED_AUTHNAME))
SECRETS = frozenset((libvirt.VIR_CRED_PASSPHRASE, libvirt.VIR_CRED_NOECHOPROMPT))
ASKED = [*NAMES, *SECRETS, libvirt.VIR_CRED_REALM, libvirt.VIR_CRED_EXTERNAL, libvirt.VIR_CRED_ECHOPROMPT]
"""The kinds of question that we hear. Of a kind that is not listed libvirt says on its own that nobody answers it."""

AGAIN = 300.0
"""Seconds before a password that was refused is given again, if it is still the same: ESX locks whom it refuses five times in
a quarter of an hour."""

PROMPT = 200
"""Characters of a prompt, which the other end may have written, that are told."""

_KIND, _PROMPT, _CHALLENGE, _DEFAULT, _RESULT = range(5)
"""What libvirt-python hands over for each question: a list, whose last place takes the answer."""


class Login:
    """Whom to connect as. `password` is called whenever it is asked for; it gives None, or raises, when there is none."""

    def __init__(
        self,
        *,
        user: str | None = None,
        password: Callable[[], Secret | None] = lambda: None,
        read_only: bool = False,
        again: float = AGAIN,
    ) -> None:
        self.user, self._password, self.read_only, self._again = user, password, read_only, again
        self._refused: tuple[Secret, float] | None = None

    def secret(self) -> Secret | None:
        """The password, if there is one. Denied if it was refused not long ago."""
        secret = self._password()
        refused, since = self._refused or (None, 0.0)
        if secret is not None and secret == refused and time.monotonic() - since < self._again:
            raise Denied(
                f"the password was refused; it is tried again after {self._again:g} s, or when there is another one"
            )
        return secret

    def open(self, uri: str) -> Any:
        """A new virConnect. Denied when something is asked that cannot be answered, or was answered wrongly; Unreachable when
        anything else is in the way."""
        asked = Questions(self)
        flags = libvirt.VIR_CONNECT_RO if self.read_only else 0
        try:
            return libvirt.openAuth(uri, [list(ASKED), asked.answer, None], flags)
        except libvirt.libvirtError as error:
            told = Denied(f"cannot connect to {uri}: {asked.refused}") if asked.refused else refusal(error, uri)
            if asked.given and isinstance(told, Denied):
                self._refused = asked.given[-1], time.monotonic()
            raise type(told)(without(asked.given, str(told))) from None
        except ValueError as error:  # a URI with NUL or a lone surrogate in it
            raise Unreachable(f"cannot connect to {uri!r}: {error}") from error


def refusal(error: libvirt.libvirtError, uri: str) -> VirtmapError:
    """An opening that failed leaves no connection, whatever its number; only refused credentials stay Denied."""
    told = translated(error, f"cannot connect to {uri}")
    if kind_of(error) is not Denied:
        return Unreachable(str(told))
    if "verify peer's certificate" in str(told):  # by its number it was we who failed; why, libvirt 9.0 tells nobody
        return Unreachable(
            f"{told}: its certificate is not signed by the authority that we trust (cacert.pem), has expired, or is for "
            "another host"
        )
    return told


class Questions:
    """What one opening is asked; `refused` tells which question could not be answered, and why; `given` holds the secrets
    that were given."""

    def __init__(self, login: Login) -> None:
        self.refused = ""
        self.given: list[Secret] = []
        self._login = login
        self._seen: set[tuple[int, str]] = set()

    def answer(self, questions: Sequence[list[Any]], _opaque: object) -> int:
        """libvirt's callback: 0 when all are answered, and otherwise -1. Nothing may be raised through libvirt."""
        try:
            for question in questions:
                question[_RESULT] = self._answer(question)
        except VirtmapError as error:
            self.refused = str(error)
            return -1
        return 0

    def _answer(self, question: list[Any]) -> str | None:
        kind, prompt = question[_KIND], _told(question[_PROMPT])
        if (kind, prompt) in self._seen:
            raise Denied(f"it asks once more, so that the answer was wrong: {prompt}")
        self._seen.add((kind, prompt))
        if kind in NAMES:
            return self._name(prompt, question[_DEFAULT])
        if kind in SECRETS:
            return self._secret(prompt)
        if kind == libvirt.VIR_CRED_REALM:
            return self._realm(prompt, question[_DEFAULT])
        if kind == libvirt.VIR_CRED_EXTERNAL:
            return None  # somebody else, such as polkit, sees to it
        raise Denied(f"it asks what only a person can answer: {prompt}")

    def _name(self, prompt: str, default: str | None) -> str:
        if (user := self._login.user or default) is None:
            raise Denied(f"it asks for a user, and none is configured: {prompt}")
        return user

    def _secret(self, prompt: str) -> str:
        if (secret := self._login.secret()) is None:
            raise Denied(f"it asks for a password, and no password_file is configured: {prompt}")
        self.given.append(secret)
        return secret.reveal()

    def _realm(self, prompt: str, default: str | None) -> str:
        realm = default or (self._login.user or "").partition("@")[2]
        if not realm:
            raise Denied(f"it asks for a realm; configure the user as NAME@REALM: {prompt}")
        return realm


def _told(prompt: str | None) -> str:
    """A prompt as one line of bounded length."""
    line = " ".join("".join(c if c.isprintable() else " " for c in prompt or "").split())
    return line if len(line) <= PROMPT else line[:PROMPT] + "..."
