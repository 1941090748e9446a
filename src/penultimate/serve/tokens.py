"""The token that lets somebody ask: in a header, or in a cookie that a form of the page sets."""

import hashlib
import hmac
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import Response

from penultimate.serve.attempts import Attempts
from penultimate.serve.problems import RefusedError

_COOKIE = "penultimate"


class Token:
    """What requests have to bring.

    Parameters
    ----------
    text : str or None
        None lets everybody ask.
    """

    def __init__(self, text: str | None) -> None:
        self.is_needed = text is not None
        self.attempts = Attempts()
        self._digest = _digest(text or "")
        # Of the token, from which the token cannot be found.
        self._cookie = hmac.new(self._digest, b"cookie", hashlib.sha256).hexdigest()

    def check(self, headers: Headers, address: str) -> None:
        """Raise `RefusedError` unless a request brings the token; count a wrong one."""
        if self._is_in(headers):
            return
        # One that brings none is no guess, such as that of a browser before its user signs in.
        if "authorization" in headers or _COOKIE in cookie_parser(headers.get("cookie", "")):
            self.attempts.note_wrong(address)
        raise RefusedError(
            401,
            "Send the token of this service, as the header Authorization: Bearer TOKEN.",
            {"WWW-Authenticate": "Bearer"},
        )

    def _is_in(self, headers: Headers) -> bool:
        if not self.is_needed:
            return True
        scheme, _, given = headers.get("authorization", "").partition(" ")
        cookie = cookie_parser(headers.get("cookie", "")).get(_COOKIE, "")
        # Digests are of one length, and compared in a time that says nothing about them.
        by_header = hmac.compare_digest(_digest(given.strip()), self._digest)
        by_cookie = hmac.compare_digest(_digest(cookie), _digest(self._cookie))
        return (by_header and scheme.lower() == "bearer") or by_cookie

    def is_in_form(self, body: bytes, address: str) -> bool:
        """Return whether the body of a form has the token; count a wrong one."""
        given = parse_qs(body.decode("utf-8", "replace"), max_num_fields=4).get("token", [""])[0]
        is_right = self.is_needed and hmac.compare_digest(_digest(given.strip()), self._digest)
        if not is_right:
            self.attempts.note_wrong(address)
        return is_right

    def set_cookie(self, response: Response) -> None:
        """Let the browser bring the token from now on, from this site's own pages alone."""
        response.set_cookie(_COOKIE, self._cookie, httponly=True, samesite="strict")


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
