"""The one vocabulary of failure between drivers, core and front ends.

Drivers raise these and nothing else; each front end translates them by one table of its own. A message names the object,
what was asked, and why not, and never holds a secret.
"""


class VirtmapError(Exception):
    """Anything that the hypervisor, the policy or the state of an object refuses. One line of text, fit for an operator."""


class NotFound(VirtmapError):
    """The object is not there (any more)."""


class NotSupported(VirtmapError):
    """This hypervisor, or this version of it, cannot do that at all."""


class Denied(VirtmapError):
    """The principal, or virtmap itself at the hypervisor, may not do that."""


class Invalid(VirtmapError):
    """The request makes no sense: a bad value, or an object whose state does not allow it."""


class WrongState(Invalid):
    """The object's state does not allow it; the request itself is right."""


class Busy(VirtmapError):
    """Not now: a lock, a running job, a time limit that passed. Asking again later may work."""


class Unreachable(VirtmapError):
    """There is no connection to the hypervisor."""


class Failed(VirtmapError):
    """It was tried and went wrong, for a reason that only the text tells."""


class ConfigError(VirtmapError):
    """A configuration that cannot be used; the text starts with the path to the key."""


class DeclarationError(Exception):
    """A declaration of the model breaks a law of the schema. Raised at import, names the declaration."""
