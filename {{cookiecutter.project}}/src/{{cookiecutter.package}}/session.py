"""An SSH login in bounded time: connect, agree on algorithms, check the host key, authenticate.

Each step knows what can fail in it. Only the first two are tried again: a login that was
refused twice may lock the account.
"""

import functools
import logging
import random
import re
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

import paramiko
from paramiko.ssh_exception import IncompatiblePeer

from . import keys
from .algorithms import Overheard, agreed, incompatible
from .connect import Connection
from .devices import DEVICES
from .failures import Failure, Refused, plain
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
                if session.over():
                    session.close()

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
        self.algorithms = {"kex": "", "host_key": "", "cipher": ""}
        self.accepted = False
        """Whether the host let us in."""
        self._connection: Connection | None = None
        login = DEVICES[target.device_type].login if target.device_type in DEVICES else ""
        self._user = target.username + login

    def left(self) -> float:
        """Return the seconds that are left, a little more than 0 when there are none."""
        return max(0.001, self.end - clock())

    def over(self) -> bool:
        """Tell whether the time is over."""
        return clock() >= self.end

    def close(self) -> None:
        """End the connection; whoever waits for an answer then gets an error."""
        if self._connection:
            self._connection.close()

    def __enter__(self) -> Self:
        """Log in. Raises Failure."""
        _watch()
        _OPEN.add(self)
        try:
            self._connect()
            self._authenticate()
            self.accepted = True
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """End the connection. Raises Failure for what was raised because the time was over."""
        _OPEN.discard(self)
        over = self.over()
        self.close()
        found = isinstance(error, Failure) and error.kind == "no-prompt"
        if over and isinstance(error, Exception) and not found:
            sentence = "no answer in time: look at the host, or raise --timeout"
            raise Failure("timeout", sentence) from error

    def _connect(self) -> None:
        """Connect and agree on algorithms; a server that breaks off is tried again."""
        for pause in (*_PAUSES, None):
            try:
                self._connection = Connection(self.target, self.end)
                self._handshake(self._connection)
                return
            except Failure as failure:
                if failure.kind != "no-ssh" or not pause or self.left() < 2 * pause:
                    raise
            self.close()
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - spreads hosts, no secret

    def _handshake(self, connection: Connection) -> None:
        """Agree on algorithms and check the host key. Raises Failure."""
        heard = Overheard(connection.socket)
        blocked = self.target.settings.get("disabled_algorithms")
        transport = paramiko.Transport(heard, disabled_algorithms=blocked)  # type: ignore[arg-type]
        options = transport.get_security_options()
        options.ciphers = sorted(options.ciphers, key=lambda name: name not in _FAST)
        known = {line.kind.replace("ssh-rsa", "rsa-sha2-512") for line in self.target.trust.lines}
        options.key_types = sorted(options.key_types, key=lambda name: name not in known)
        kex, host_keys = list(options.kex), list(options.key_types)
        transport.daemon = True
        transport.banner_timeout = transport.auth_timeout = transport.channel_timeout = self.left()
        try:
            transport.start_client(timeout=self.left())
            key = transport.get_remote_server_key()
        except IncompatiblePeer as error:
            raise Failure("crypto", incompatible(str(error), heard.offers())) from None
        except Exception as error:  # paramiko lets out what a broken packet raises in it
            raise connection.proxy_failure() or _no_ssh(heard) from error
        offers = heard.offers()
        self.algorithms = {
            "kex": agreed(kex, offers.get("kex", [])),
            "host_key": agreed(host_keys, offers.get("host_key", [])),
            "cipher": transport.local_cipher,
        }
        self.learned = self.target.trust.judge(key.get_name(), key.get_base64())
        self.transport = transport

    def _authenticate(self) -> None:
        """Log in with the keys, then the password. Never asks anybody anything."""
        target, transport = self.target, self.transport
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
            ended = "" if self.transport.is_active() else ", and the server hung up"
            said = f"login refused: the password of user {name!r} was not accepted{ended}"
            raise Refused(f"{said}; check both") from None
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
            sentence += ", or SSH_UPTIME_PASSPHRASE for an encrypted key"
            raise Failure("auth", f"{sentence}; the server takes {ways}{files}") from None


def _no_ssh(heard: Overheard) -> Failure:
    """Return what is wrong with a server that did not agree on anything."""
    if not heard.data:
        reason = "it closed the connection: a busy server, or one that lets only some in"
        return Failure("no-ssh", f"{reason}; check the port, lower --workers")
    if heard.data.startswith(b"SSH-"):
        return Failure("no-ssh", f"{heard.greeting()} broke off the key exchange: try again")
    return Failure("no-ssh", f"no SSH server there, it says {heard.greeting()!r}: check the port")
