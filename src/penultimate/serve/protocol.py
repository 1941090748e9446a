"""HTTP/1.1 with a time for everything that a client may leave open.

uvicorn closes connections that are idle after an answer. It waits without end for a connection's
first request, for the rest of a header, and for a client that does not fetch its answer; some
hundred of those would take every connection that there is.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

_REFUSAL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n"
    b"Retry-After: 1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"
)
_REASON = (
    b'{"title":"Service Unavailable","status":503,'
    b'"detail":"There are as many connections as the service takes. Ask again in a moment."}'
)


def timed_protocol(seconds: float, connections: int) -> type[H11Protocol]:
    """Return the protocol of a server with these limits, as uvicorn takes it.

    Parameters
    ----------
    seconds : float
        For a header to arrive, and for an answer to be fetched.
    connections : int
        Open at once; more are closed with an answer that says so.
    """

    class Timed(H11Protocol):
        _expecting: asyncio.TimerHandle | None = None
        _writing: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) > connections:
                transport.write(_REFUSAL % (len(_REASON), _REASON))
                transport.close()
            self._expect()

        def data_received(self, data: bytes) -> None:
            if self.transport.is_closing():
                return
            super().data_received(data)
            self._expect()

        def pause_writing(self) -> None:
            super().pause_writing()
            self._writing = self.loop.call_later(seconds, self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            if self._writing is not None:
                self._writing.cancel()
                self._writing = None

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            for timer in (self._expecting, self._writing):
                if timer is not None:
                    timer.cancel()

        def _expect(self) -> None:
            """Give a header its time; a body has one of its own, where it is read."""
            is_answering = self.cycle is not None and not self.cycle.response_complete
            if is_answering and self._expecting is not None:
                self._expecting.cancel()
                self._expecting = None
            elif not is_answering and self._expecting is None:
                self._expecting = self.loop.call_later(seconds, self.transport.abort)

    return Timed
