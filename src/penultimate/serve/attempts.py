"""How often a wrong token may be tried: ten times a minute from one address.

After that the address gets no answer for a minute, not even to the right token: otherwise trying
would cost nothing. Others are answered as before. The addresses are counted in a table of fixed
size, whose oldest entries make room; an owner of many addresses can so be forgotten, but a network
of IPv6, which comes by the billion, counts as one address.
"""

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from penultimate.serve.problems import RefusedError

MOST, SECONDS, ADDRESSES = 10, 60.0, 4096
_NETWORK = 64  # bits of an IPv6 address that one subscriber gets at least


@dataclass
class _Tries:
    n_wrong: int
    last: float


class Attempts:
    """Counts wrong tokens by address.

    Parameters
    ----------
    clock : callable
        Returns seconds.

    Examples
    --------
    >>> from penultimate.serve.attempts import Attempts
    >>> attempts = Attempts()
    >>> attempts.note_wrong("10.0.0.1")
    >>> attempts.check("10.0.0.1")
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._of: OrderedDict[str, _Tries] = OrderedDict()  # the one that tried last is last

    def __len__(self) -> int:
        return len(self._of)

    def check(self, address: str) -> None:
        """Raise `RefusedError` if too many wrong tokens came from an address."""
        tries = self._of.get(_counted_as(address))
        if tries is None or tries.n_wrong < MOST:
            return
        left = tries.last + SECONDS - self._clock()
        if left > 0:
            raise RefusedError(
                429,
                f"There were {MOST} wrong tokens from your address. Try again in "
                f"{math.ceil(left)} seconds.",
                {"Retry-After": str(math.ceil(left))},
            )

    def note_wrong(self, address: str) -> None:
        """Count a wrong token."""
        key, now = _counted_as(address), self._clock()
        before = self._of.pop(key, None)
        is_old = before is None or now - before.last > SECONDS
        self._of[key] = _Tries(1 if before is None or is_old else before.n_wrong + 1, now)
        if len(self._of) > ADDRESSES:
            self._of.popitem(last=False)


def _counted_as(address: str) -> str:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if found.version == 4:
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, _NETWORK), strict=False))
