"""Whether a server can be reached, and if not, why, and what to do about it."""

import http.client
import socket
import ssl
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from condaw.base.errors import without_user
from condaw.network import pip_config

PATIENCE = 10  # seconds that a server has to answer
NETWORK = "check the network and the VPN; if there is a proxy, set HTTPS_PROXY"
TRUST = (
    "check the URL (a guest network has a login page) and this machine's clock, or set "
    "SSL_CERT_FILE to a file with the root certificate of the company's proxy or server"
)
UNRESOLVED = "cannot be resolved"


Answer = tuple[str, str]  # what was answered, and what to do if that is a failure


def ask(url: str) -> Answer:
    """Ask for `url` without its password."""
    place = without_user(url)
    try:
        context = _context()
        with urllib.request.urlopen(place, timeout=PATIENCE, context=context):  # noqa: S310
            return f"{place} answers", ""
    except urllib.error.HTTPError as error:
        # Below 500 is no failure: it may ask for a password, or have nothing at that place.
        next_step = "try again later, or ask who runs it" if error.code >= 500 else ""
        return f"{place} answers, with HTTP {error.code}", next_step
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        return _why(reason, place)


def unresolved(url: str) -> Answer | None:
    """Return what to say if the name of the server, or of the proxy, is unknown."""
    answer = ask(url)
    return answer if UNRESOLVED in answer[0] else None


def _context() -> ssl.SSLContext:
    """Return a context that trusts what pip trusts."""
    try:
        from truststore import SSLContext

        context: ssl.SSLContext = SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    except ImportError:  # the engine is not there yet
        context = ssl.create_default_context()
    for file in pip_config.certificates():
        context.load_verify_locations(file)
    return context


def _why(reason: object, url: str) -> Answer:
    """Return why `url` did not answer, and the next step."""
    parts = urlsplit(url)
    peer = str(parts.hostname)
    if isinstance(reason, ssl.SSLCertVerificationError):
        return f"the certificate of {peer} is not accepted: {reason.verify_message}", TRUST
    proxy = without_user(urllib.request.getproxies().get(parts.scheme, ""))
    if proxy and not urllib.request.proxy_bypass(peer):
        peer = f"the proxy {proxy.rpartition('://')[2].strip('/')}"
    if "407" in str(reason):
        return f"{peer} asks for a user and a password", "put them into HTTPS_PROXY, as USER:PASS@"
    if isinstance(reason, socket.gaierror):
        return f"the name of {peer} {UNRESOLVED}", f"check the spelling; {NETWORK}"
    return f"{peer} does not answer: {reason}", NETWORK
