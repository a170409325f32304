"""An SSH login in bounded time: connect, agree on algorithms, check the host key, authenticate.

Each step knows what can fail in it. Only the first two are tried again: a login that was
refused twice may lock the account.
"""

import errno
import functools
import logging
import os
import random
import re
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import IO, Any

import paramiko
from paramiko.ssh_exception import IncompatiblePeer

from . import keys
from .devices import DEVICES
from .failures import Failure, Refused, last_line, plain
from .targets import Target

# Without a handler, paramiko's threads would print their tracebacks.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

clock = time.monotonic
_PAUSES = (0.2, 0.4, 0.8, 1.6)  # seconds before the next try at a server that is too busy
_FAST = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")  # no separate MAC to compute
_ASKS_PASSWORD = re.compile(r"pass(?!code)|kennwort|密码|密碼|пароль|senha|contrase", re.IGNORECASE)


_OPEN: "set[Session]" = set()


@functools.cache
def _watch() -> None:
    """Start the thread that ends sessions whose time is over; it is cheaper than a timer each."""

    def watch() -> None:
        while True:
            time.sleep(0.1)
            for session in _OPEN.copy():
                if session.left() <= 0.001:
                    session._hang_up()

    threading.Thread(target=watch, name="watch", daemon=True).start()


class Session:
    """A login to one host, for a `with` block. What it learns is there after a failure too."""

    def __init__(self, target: Target, timeout: float) -> None:
        """Plan a login that ends, with all that is done in it, after `timeout` seconds."""
        self.target = target
        self.end = clock() + timeout
        self.transport: paramiko.Transport
        self.learned = ""
        """The known_hosts line of a key that was accepted on first use."""
        self.agreed = {"kex": "", "host_key": "", "cipher": ""}
        """The algorithms of key exchange, host key and cipher."""
        self.accepted = False
        """Whether the host let us in."""
        self._connection: socket.socket | None = None
        self._proxy: subprocess.Popen[bytes] | None = None

    def left(self) -> float:
        """Return the seconds that are left, a little more than 0 when there are none."""
        return max(0.001, self.end - clock())

    def __enter__(self) -> "Session":
        """Log in. Raises Failure."""
        _watch()
        _OPEN.add(self)
        try:
            self._connect()
            self._authenticate()
            self.accepted = True
        except BaseException as error:
            self.__exit__(type(error), error, None)  # raises Failure for Exception
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """End the connection. Raises Failure for what was raised after the time was over."""
        over = self.left() <= 0.001
        _OPEN.discard(self)
        self._hang_up()
        found = isinstance(error, Failure) and error.kind == "no-prompt"
        if over and isinstance(error, Exception) and not found:
            sentence = "no answer in time: look at the host, or raise --timeout"
            raise Failure("timeout", sentence) from error

    def _hang_up(self) -> None:
        """End the connection so that paramiko's thread sees it at once, not after its 0.1 s."""
        if self._connection:
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)
            self._connection.close()
        if self._proxy:
            self._proxy.kill()
            self._proxy.wait()

    def _connect(self) -> None:
        """Connect and agree on algorithms; a server that breaks off is tried again."""
        for pause in (*_PAUSES, None):
            try:
                self._connection = self._proxied() if self.target.proxy else self._direct()
                self._handshake(self._connection)
                return
            except Failure as failure:
                if failure.kind != "no-ssh" or not pause or self.left() < 2 * pause:
                    raise
            self._hang_up()
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - spreads hosts, no secret

    def _direct(self) -> socket.socket:
        """Connect by TCP to the first address that answers; each gets its share of the time."""
        host, port = self.target.host, self.target.port
        try:
            addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            sentence = f"the name does not resolve ({error}): check its spelling"
            raise Failure("dns", sentence) from None
        most = float(self.target.settings.get("conn_timeout") or self.left())
        failed: OSError = TimeoutError()
        for tried, (family, kind, protocol, _, address) in enumerate(addresses):
            try:
                connection = socket.socket(family, kind, protocol)
            except OSError as error:
                failed = error
                continue
            try:
                connection.settimeout(min(most, self.left() / (len(addresses) - tried)))
                connection.connect(address)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return connection
            except OSError as error:
                connection.close()
                failed = error
        raise _unreachable(failed)

    def _proxied(self) -> socket.socket:
        """Start ProxyCommand in a shell, as ssh does, and return our end of its pipe.

        paramiko's own ProxyCommand spins when the command ends.
        """
        if os.name != "posix":
            raise Failure("config", "ProxyCommand and ProxyJump need Linux or macOS")
        ours, theirs = socket.socketpair()
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - ends with the session
        shell = os.environ.get("SHELL") or "/bin/sh"
        command = [shell, "-c", f"exec {self.target.proxy}"]
        with theirs:
            end = theirs.fileno()
            self._proxy = subprocess.Popen(
                command, stdin=end, stdout=end, stderr=self._said, start_new_session=True
            )
        return ours

    def _handshake(self, connection: socket.socket) -> None:
        heard = Overheard(connection)
        blocked = self.target.settings.get("disabled_algorithms")
        transport = paramiko.Transport(heard, disabled_algorithms=blocked)  # type: ignore[arg-type]
        options = transport.get_security_options()
        options.ciphers = sorted(options.ciphers, key=lambda name: name not in _FAST)
        known = {line.kind.replace("ssh-rsa", "rsa-sha2-512") for line in self.target.trust.lines}
        options.key_types = sorted(options.key_types, key=lambda name: name not in known)
        ours = {"kex": list(options.kex), "host_key": list(options.key_types)}
        transport.daemon = True
        transport.banner_timeout = transport.auth_timeout = transport.channel_timeout = self.left()
        try:
            transport.start_client(timeout=self.left())
            key = transport.get_remote_server_key()
        except IncompatiblePeer as error:
            raise Failure("crypto", incompatible(str(error), heard.offers())) from None
        except Exception:  # paramiko lets out what a broken packet raises in it
            raise self._no_ssh(heard) from None
        offers = heard.offers()
        agreed = {name: _first(ours[name], offers.get(name, [])) for name in ours}
        self.agreed = {**agreed, "cipher": transport.local_cipher}
        self.learned = self.target.trust.judge(key.get_name(), key.get_base64())
        self.transport = transport

    def _no_ssh(self, heard: "Overheard") -> Failure:
        if self._proxy:
            code = self._proxy.poll()
            self._said.seek(0)
            said = last_line(self._said.read().decode("utf-8", "replace")) or f"exit code {code}"
            kind = "config" if code == 127 else "no-ssh"
            return Failure(kind, f"no way through ({said}); try it: {self.target.proxy}")
        first = plain(heard.data.partition(b"\n")[0].decode("utf-8", "replace"))[:80]
        if not first:
            reason = "it closed the connection: a busy server, or one that lets only some in"
            return Failure("no-ssh", f"{reason}; check the port, lower --workers")
        if heard.data.startswith(b"SSH-"):
            return Failure("no-ssh", f"{first} broke off the key exchange: try again")
        return Failure("no-ssh", f"no SSH server there, it says {first!r}: check the port")

    def _authenticate(self) -> None:
        """Log in with the keys, then the password. Never asks anybody anything."""
        target, transport = self.target, self.transport
        device = DEVICES.get(target.device_type)
        self._user = target.username + (device.login if device else "")
        tried, methods = 0, ["password", "keyboard-interactive"]
        for key in keys.candidates(target.keys, target.agent, target.identities_only):
            try:
                tried += 1
                more = transport.auth_publickey(self._user, key)
                if more:
                    self._continue(more)
                return
            except paramiko.BadAuthenticationType as error:
                methods, tried = error.allowed_types, tried - 1
                break
            except (paramiko.SSHException, OSError, EOFError):  # some keys cannot be agreed on
                if not transport.is_active():
                    advice = "name one with --key, or IdentityFile and IdentitiesOnly"
                    raise Refused(f"the server hung up after {tried} keys: {advice}") from None
        if target.password is None:
            self._nothing_left(tried)
        else:
            self._password(methods)

    def _continue(self, methods: list[str]) -> None:
        """Go on after a key that the server accepts, but that it does not find enough."""
        if self.target.password is None:
            raise Failure("auth", self._second_factor("more than a key", methods))
        self._password(methods)

    def _password(self, methods: Sequence[str]) -> None:
        """Give the password, by either of its two ways. Raises Failure."""
        name, password = self._user, self.target.password or ""
        try:
            try:
                if "password" not in methods:
                    raise paramiko.BadAuthenticationType("", list(methods))
                more = self.transport.auth_password(name, password, fallback=False)
            except paramiko.BadAuthenticationType as error:
                methods = error.allowed_types
                if "keyboard-interactive" not in methods:
                    said = f"the server takes no password, but {', '.join(methods)}"
                    raise Refused(f"login refused: {said}; check user and keys") from None
                more = self.transport.auth_interactive(name, self._answer(password))
        except (paramiko.SSHException, OSError, EOFError):
            said = f"password of user {name!r}"
            raise Refused(f"login refused: the {said} was not accepted; check both") from None
        if more:
            raise Failure("auth", self._second_factor("more than a password", more))

    def _answer(self, password: str) -> Callable[..., list[str]]:
        """Return what answers one hidden question for a password; any other ends the login."""
        answers = [password]

        def answer(title: str, instructions: str, questions: list[tuple[str, bool]]) -> list[str]:
            for question, shown in questions:
                asked = f"an answer to {plain(question)[:60]!r}"
                if shown or not answers or not _ASKS_PASSWORD.search(question):
                    raise Failure("auth", self._second_factor(asked, []))
            return [answers.pop() for _ in questions[:1]] if len(questions) < 2 else []

        return answer

    def _second_factor(self, wanted: str, methods: Sequence[str]) -> str:
        ways = f" ({', '.join(methods)})" if methods else ""
        advice = "that needs a person; use a login without a second factor"
        return f"{self.target.host} wants {wanted}{ways}: {advice}"

    def _nothing_left(self, tried: int) -> None:
        """Try to log in with nothing, as some old switches allow; else say what is missing."""
        unusable = [file.path for file in self.target.keys if not file.usable()]
        try:
            self.transport.auth_none(self._user)
        except (paramiko.SSHException, OSError, EOFError) as error:
            ways = ", ".join(getattr(error, "allowed_types", [])) or "no way that it names"
            if tried:
                said = f"{tried} keys" if tried > 1 else "the key"
                sentence = f"login refused: {said} of user {self.target.username!r}"
                raise Refused(f"{sentence} did not do; the server takes {ways}") from None
            files = f"; cannot use {', '.join(unusable)}" if unusable else ""
            sentence = "nothing to log in with: give --key, an ssh-agent or SSH_UPTIME_PASSWORD"
            raise Failure("auth", f"{sentence}; the server takes {ways}{files}") from None


class Overheard:
    """A socket that keeps the beginning of what it receives.

    In it are the server's greeting and KEXINIT (RFC 4253, 4.2 and 7.1), which name what the
    server offers; paramiko tells neither after a success nor after a failure. It also receives
    as much as there is, where paramiko asks for a packet in three pieces: fewer system calls.
    """

    def __init__(self, connection: socket.socket) -> None:
        """Listen in on a connection."""
        self._connection = connection
        self._waiting = b""
        self.data = b""

    def recv(self, size: int) -> bytes:
        """Receive as a socket does."""
        if not self._waiting:
            self._waiting = self._connection.recv(65536)
            if len(self.data) < 8192:
                self.data += self._waiting
        received, self._waiting = self._waiting[:size], self._waiting[size:]
        return received

    def __getattr__(self, name: str) -> Any:
        """Do everything else as the socket does."""
        return getattr(self._connection, name)

    def offers(self) -> dict[str, list[str]]:
        """Return the algorithms that the server offers: kex, host_key and cipher."""
        greeting = self.data.find(b"SSH-")
        packet = self.data[self.data.find(b"\n", greeting) + 1 :]
        if greeting < 0 or packet[5:6] != b"\x14":
            return {}
        lists, at = [], 22  # after length, padding, type and cookie
        for _ in range(4):
            size = int.from_bytes(packet[at : at + 4], "big")
            lists.append(packet[at + 4 : at + 4 + size].decode("ascii", "replace").split(","))
            at += 4 + size
        return {"kex": lists[0], "host_key": lists[1], "cipher": [*lists[2], *lists[3]]}


def incompatible(said: str, offers: dict[str, list[str]]) -> str:
    """Say what a server offers where nothing is in common, and what to do about it."""
    found = re.search(r"acceptable (kex|host key|cipher)", said) or re.search("(kex)", "kex")
    name = found[1].replace(" ", "_") if found else "kex"
    offered = [plain(algorithm) for algorithm in offers.get(name, [])]
    listed = ", ".join(offered[:6]) or "nothing"
    weak = {"kex": r".*-sha1$", "host_key": r"ssh-(rsa|dss)$", "cipher": r"$."}[name]
    algorithms = [a for a in offered if not a.startswith(("ext-info", "kex-strict"))]
    if algorithms and all(re.match(weak, algorithm) for algorithm in algorithms):
        advice = "an old device, SHA-1 only, needs a project made with legacy_ssh=yes"
    else:
        advice = "a newer paramiko may have one of them, or the server may offer more"
    return f"no {name.replace('_', ' ')} algorithm in common, it offers {listed}: {advice}"


def _first(ours: Sequence[str], theirs: Sequence[str]) -> str:
    """Return what both sides agree on: the client's first that the server has (RFC 4253, 7.1)."""
    return next((name for name in ours if name in theirs), "")


def _unreachable(error: OSError) -> Failure:
    said = error.strerror or str(error) or "no answer"
    if isinstance(error, TimeoutError):
        return Failure("timeout", "no answer in time: check the address, or raise --timeout")
    if isinstance(error, ConnectionRefusedError):
        return Failure("refused", "nothing listens there: check address and port")
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return Failure("config", f"{said}: lower --workers, or raise ulimit -n")
    return Failure("refused", f"unreachable ({said}): check address and route")
