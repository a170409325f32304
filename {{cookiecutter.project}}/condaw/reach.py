"""Whether a server can be reached, and if not why, in words that people can act on."""

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

from condaw.outcome import redacted

PATIENCE = 10
"""Seconds that a server has to answer."""
EXPIRED, NOT_YET, UNKNOWN, OTHER_NAME = {10}, {9}, {2, 18, 19, 20, 21}, {62, 64}
"""OpenSSL's numbers of what may be wrong with a certificate (x509_vfy.h, X509_V_ERR_...)."""

clock = time.time


@dataclass(frozen=True)
class Answer:
    """What came of asking; `advice` says what to do where it is not ok."""

    ok: bool
    text: str
    advice: str = ""
    ahead: float | None = None
    """Seconds by which this machine's clock is ahead of the server's; None if it told no time."""


def ask(url: str, cafile: str | None = None) -> Answer:
    """Ask for `url`, without any password in it; `cafile` holds root certificates for https."""
    place = redacted(url)
    try:
        context = ssl.create_default_context(cafile=cafile)
        with urllib.request.urlopen(place, timeout=PATIENCE, context=context) as reply:  # noqa: S310
            return Answer(True, f"{place} answers", ahead=_ahead(reply.headers))
    except urllib.error.HTTPError as error:
        # Below 500: it may want a password, or offer another page.
        text, advice = f"{place} answers, with HTTP {error.code}", "" if error.code < 500 else LATER
        return Answer(error.code < 500, text, advice, _ahead(error.headers))
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        return Answer(False, *_why(reason, place))


LATER = "try again later, or ask who runs it"
ROOTS = "set SSL_CERT_FILE to a file with the root certificate of the company's proxy or server"
NETWORK = "check the network and the VPN; where a proxy is due, set HTTPS_PROXY"


def _why(reason: object, url: str) -> tuple[str, str]:
    """A cause and an advice for what kept `url` from answering."""
    host = urlsplit(url).hostname or url
    code = getattr(reason, "verify_code", None)
    if code in EXPIRED:
        return (
            f"a certificate of {host} has expired, says this machine's clock",
            "see that the clock is right and this machine's root certificates are up to date",
        )
    if code in NOT_YET:
        return f"the certificate of {host} is not valid yet", "set this machine's clock"
    if code in UNKNOWN:
        return f"the certificate of {host} is from an authority that is unknown here", ROOTS
    if code in OTHER_NAME:
        advice = "check the URL; the login page of a guest network does this, too"
        return f"the certificate that {host} shows is for another name", advice
    via = proxy(url)
    parts = urlsplit(via or url)
    peer = f"the proxy {parts.hostname}:{parts.port}" if via else str(parts.hostname)
    if "407" in str(reason):
        return f"{peer} wants a user and a password", "write them into HTTPS_PROXY, as USER:PASS@"
    if isinstance(reason, socket.gaierror):
        return f"the name of {peer} cannot be resolved", f"check the spelling; {NETWORK}"
    if isinstance(reason, ConnectionRefusedError):
        return f"{peer} refuses the connection", f"check the port; {NETWORK}"
    if isinstance(reason, TimeoutError):
        return f"{peer} has not answered for {PATIENCE} s", NETWORK
    return f"{url} does not answer: {reason}", NETWORK


def proxy(url: str) -> str | None:
    """The proxy through which `url` is asked for, as the system and the variables have it."""
    parts = urlsplit(url)
    found = urllib.request.getproxies().get(parts.scheme)
    return None if urllib.request.proxy_bypass(parts.hostname or "") else found


def _ahead(headers: Message) -> float | None:
    """See Answer. A cache says in Age how old its Date is (RFC 9111, 5.1)."""
    try:
        said = parsedate_to_datetime(headers["Date"]).timestamp()
        return clock() - said - float(headers.get("Age") or 0)
    except (TypeError, ValueError):
        return None
