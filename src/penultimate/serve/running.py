"""Running a service: its socket, its signals, and its end.

SIGTERM and Ctrl-C stop it: no connection is taken any more, and what was asked is answered. SIGHUP
looks for new versions of the models at once.
"""

import asyncio
import ipaddress
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress

import uvicorn

from penultimate.serve.app import create_app
from penultimate.serve.guard import LOOPBACK
from penultimate.serve.limits import Limits
from penultimate.serve.models import Models
from penultimate.serve.protocol import timed_protocol

LEAST_TOKEN = 16  # characters
_BACKLOG = 2048
_GRACE = 5  # seconds beyond those of a request


def run(
    models: Models,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    limits: Limits | None = None,
    teach: bool = False,
    say: Callable[[str], None] = print,
) -> None:
    """Serve until SIGTERM or Ctrl-C; the latter is raised again as ``KeyboardInterrupt``.

    Parameters
    ----------
    models : Models
    host : str
        Address to listen at.
    port : int
        0 takes a free one.
    token : str, optional
        What requests have to bring; needed beyond the loopback address.
    limits : Limits, optional
    teach : bool, default=False
        Let who may ask also teach the models, and promote what was taught.
    say : callable
        Called with a line for whoever runs the service, the first of which has its address.

    Raises
    ------
    ValueError
        If the token is missing or short; if a model that should be taught cannot be.
    OSError
        If the address cannot be listened at.
    """
    check_token(host, token)
    limits = limits or Limits()
    # With a token, rebinding a name gains nothing: a page of that name does not have it.
    hosts = LOOPBACK if token is None else None
    app = create_app(models, limits=limits, token=token, hosts=hosts, teach=teach, say=say)
    config = uvicorn.Config(
        app,
        http=timed_protocol(limits.reading_seconds, limits.connections),
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        log_level="error",  # what clients do wrong is answered, not printed
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=min(5, int(limits.reading_seconds) or 1),
        timeout_graceful_shutdown=int(limits.seconds + limits.reading_seconds) + _GRACE,
    )
    listener = _listen(host, port)
    say(f"Serving {', '.join(models.names)} at {_address(listener)}. Stop it with Ctrl-C.")
    # uvicorn raises the signals that stopped it again when it is done.
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        asyncio.run(_serve(uvicorn.Server(config), listener, app.state.service.look_now))
    finally:
        signal.signal(signal.SIGTERM, before)
        listener.close()


def check_token(host: str, token: str | None) -> None:
    """Raise unless a service at this address has the token that it needs."""
    if token is None:
        if not _is_loopback(host):
            raise ValueError(
                f"Others can reach {host!r}, and there is no token that they have to know. Set "
                "one, or listen at 127.0.0.1."
            )
    elif len(token) < LEAST_TOKEN or not token.isascii() or not token.isprintable():
        raise ValueError(
            f"A token must have at least {LEAST_TOKEN} characters, all of them printable ASCII; "
            f"got {len(token)}. Make one with: python -c 'import secrets; "
            "print(secrets.token_urlsafe())'"
        )


async def _serve(server: uvicorn.Server, listener: socket.socket, look_now: asyncio.Event) -> None:
    with suppress(AttributeError, NotImplementedError):  # on Windows
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, look_now.set)
    await server.serve(sockets=[listener])


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        # Of an address in use, Python adds the address; of a name, there is no number.
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise OSError(
            f"Port {port} of {host!r} cannot be listened at: {reason}. Pass another one, or 0 for "
            "a free one."
        ) from error


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
