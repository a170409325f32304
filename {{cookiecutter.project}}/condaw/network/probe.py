"""Whether a server can be reached, and if not, why, and what to do about it."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from email.message import Message
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from condaw.base.errors import redacted

PATIENCE = 10
"""Seconds that a server has to answer."""
EXPIRED, NOT_YET, UNKNOWN, OTHER_NAME = {10}, {9}, {2, 18, 19, 20, 21}, {62, 64}
"""OpenSSL's numbers of what may be wrong with a certificate (x509_vfy.h, X509_V_ERR_...)."""
LATER = "try again later, or ask who runs it"
ROOTS = "set SSL_CERT_FILE to a file with the root certificate of the company's proxy or server"
NETWORK = "check the network and the VPN; if there is a proxy, set HTTPS_PROXY"

clock = time.time


@dataclass(frozen=True)
class Answer:
    """What a server answered."""

    ok: bool
    text: str
    """One sentence that names the server."""
    next_step: str = ""
    """What to do if it is not ok."""
    ahead: float | None = None
    """Seconds by which this machine's clock is ahead of the server's; None if it told no time."""


def ask(url: str, cafile: str | None = None) -> Answer:
    """Ask for `url`, without any password in it, and return the answer.

    `cafile` holds root certificates for https.
    """
    place = redacted(url)
    try:
        context = ssl.create_default_context(cafile=cafile)
        with urllib.request.urlopen(place, timeout=PATIENCE, context=context) as reply:  # noqa: S310
            return Answer(True, f"{place} answers", ahead=_ahead(reply.headers))
    except urllib.error.HTTPError as error:
        # Below 500: it may ask for a password, or offer another page.
        ok = error.code < 500
        text = f"{place} answers, with HTTP {error.code}"
        return Answer(ok, text, "" if ok else LATER, _ahead(error.headers))
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        return Answer(False, *_why(reason, place))


def proxy(url: str) -> str | None:
    """Return the proxy through which `url` is asked for, from the system and the variables."""
    parts = urlsplit(url)
    found = urllib.request.getproxies().get(parts.scheme)
    return None if urllib.request.proxy_bypass(parts.hostname or "") else found


def _why(reason: object, url: str) -> tuple[str, str]:
    """Return why `url` did not answer, and the next step."""
    via = proxy(url)
    parts = urlsplit(via or url)
    peer = f"the proxy {parts.hostname}:{parts.port}" if via else str(parts.hostname)
    if code := getattr(reason, "verify_code", None):
        return _certificate(code, urlsplit(url).hostname or url, reason)
    if "407" in str(reason):
        return f"{peer} asks for a user and a password", "put them into HTTPS_PROXY, as USER:PASS@"
    if isinstance(reason, socket.gaierror):
        return f"the name of {peer} cannot be resolved", f"check the spelling; {NETWORK}"
    if isinstance(reason, ConnectionRefusedError):
        return f"{peer} refuses the connection", f"check the port; {NETWORK}"
    if isinstance(reason, TimeoutError):
        return f"{peer} did not answer within {PATIENCE} s", NETWORK
    return f"{url} does not answer: {reason}", NETWORK


def _certificate(code: int, host: str, reason: object) -> tuple[str, str]:
    """Return what is wrong with the certificate of `host`, and the next step."""
    if code in EXPIRED:
        return (
            f"a certificate of {host} has expired, according to this machine's clock",
            "check that the clock is right and this machine's root certificates are up to date",
        )
    if code in NOT_YET:
        return f"the certificate of {host} is not valid yet", "set this machine's clock"
    if code in UNKNOWN:
        return f"the certificate of {host} is from an unknown authority", ROOTS
    if code in OTHER_NAME:
        next_step = "check the URL; the login page of a guest network does this, too"
        return f"the certificate of {host} is for another name", next_step
    return f"the certificate of {host} is not accepted: {reason}", ROOTS


def _ahead(headers: Message) -> float | None:
    """Return `Answer.ahead`. A cache says in Age how old its Date is (RFC 9111, 5.1)."""
    try:
        said = parsedate_to_datetime(headers["Date"]).timestamp()
        return clock() - said - float(headers.get("Age") or 0)
    except (TypeError, ValueError):
        return None
