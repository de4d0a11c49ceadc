"""How often something may be: so many at once, and then so many a second."""

import time
from collections.abc import Callable


class Pace:
    """A bucket of `burst` that fills by `rate` a second; what came too fast is counted."""

    def __init__(self, burst: float = 20, rate: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst, self._rate, self._clock = burst, rate, clock
        self._left, self._at = float(burst), clock()
        self._told = 0
        self.held_back = 0
        """How many came too fast."""

    def take(self) -> bool:
        """Whether one more may be; if so it is counted."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            self.held_back += 1
            return False
        self._left -= 1
        return True

    def missed(self) -> int:
        """How many came too fast since this was last asked."""
        missed, self._told = self.held_back - self._told, self.held_back
        return missed
