"""What stands before a service: who may ask, under which name, and from which page.

A service on the loopback address is reached by every page in a browser of this machine. Such a page
cannot read answers, as the service allows no other origin; but it could send requests, and under a
name of its own that it lets point to this machine (DNS rebinding) also read. So requests under
other names than the loopback's are refused, and requests that come from another page.
"""

import time
from collections.abc import Callable, Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from penultimate.serve.metrics import Metrics
from penultimate.serve.problems import RefusedError
from penultimate.serve.tokens import Token

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
SIGN_IN = "/sign-in"
# Asked by what watches the service, or before one has signed in.
_OPEN = ("/healthz", "/readyz", SIGN_IN, "/page/page.css")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # with none, a browser names no origin of a form either
}


class Guard:
    """Refuses who may not ask, answers HEAD as GET without a body, and counts all requests.

    Parameters
    ----------
    app : ASGI application
    token : Token
    sign_in : callable
        Returns the page that asks for the token, in place of the page of the service.
    hosts : collection of str, or None
        Names under which the service may be asked; None for any.
    metrics : Metrics
    paths : collection of str
        Of the service; requests for others are counted together.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        token: Token,
        sign_in: Callable[[], Response],
        hosts: Collection[str] | None,
        metrics: Metrics,
        paths: Collection[str],
    ) -> None:
        self._app, self._hosts, self._metrics, self._paths = app, hosts, metrics, paths
        self._token, self._sign_in = token, sign_in

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or hand it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        path = scope["path"] if scope["path"] in self._paths else "other"
        asks_for_head = scope["method"] == "HEAD"  # as load balancers do
        asked = {**scope, "method": "GET"} if asks_for_head else scope

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                self._metrics.requests.labels(path, str(message["status"])).inc()
            elif asks_for_head and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        try:
            self._check(scope)
        except RefusedError as refused:
            is_page = refused.status == 401 and scope["path"] == "/"
            response = self._sign_in() if is_page else refused.response()
            response.headers["Connection"] = "close"  # its body is not read
            await response(scope, receive, sent)
        else:
            await self._app(asked, receive, sent)
        self._metrics.seconds.labels(path).observe(time.perf_counter() - started)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._hosts is not None and _name_of(host) not in self._hosts:
            raise RefusedError(
                421, f"The service is not known as {host[:100]!r}; it is {', '.join(self._hosts)}."
            )
        if scope["method"] not in ("GET", "HEAD"):
            origin = headers.get("origin")
            foreign = origin is not None and origin.partition("://")[2].lower() != host.lower()
            if foreign or headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
                raise RefusedError(403, "Requests from pages of other origins are not answered.")
        address = address_of(scope)
        if scope["path"] not in _OPEN or scope["path"] == SIGN_IN:
            self._token.attempts.check(address)
        if scope["path"] not in _OPEN:
            self._token.check(headers, address)


def address_of(scope: Scope) -> str:
    """Return where a request comes from, as the socket says, not its headers."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def _name_of(host: str) -> str:
    """Return a host without its port."""
    name, _, port = host.lower().rpartition(":")
    return name if name and port.isdecimal() else host.lower()
