"""Authentication: the keys, then the password. Nobody is ever asked anything."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import paramiko

from .devices import DEVICES
from .failures import Failure, plain
from .keys import candidates
from .targets import Target

_ASKS_PASSWORD = re.compile(r"pass(?!code)|kennwort|密码|密碼|пароль|senha|contrase", re.IGNORECASE)


def authenticate(transport: paramiko.Transport, target: Target) -> None:
    """Log in with the keys, then the password, which is given once. Raises Failure."""
    device = DEVICES.get(target.device_type)
    user = target.username + (device.login if device else "")
    allowed, accepted, refused = list[str](), "", list[str]()
    for method, attempt, *what in _attempts(transport, target):
        if allowed and method not in allowed:
            continue
        try:
            allowed = attempt(user, *what)  # the methods that must follow
            accepted = method
            if not allowed:
                return
        except paramiko.BadAuthenticationType as error:
            allowed = error.allowed_types
        except (paramiko.SSHException, OSError, EOFError):  # refused, or no algorithm for the key
            accepted = ""
            refused.append(method)
            if method != "publickey" or not transport.is_active():
                break
    takes = ", ".join(allowed) or "no way that it names"
    if accepted:
        raise _second_factor(target, f"more than {accepted} ({takes})")
    if not refused and target.password is None:
        given = "--key, an ssh-agent, SSH_UPTIME_PASSWORD or --ask-password"
        raise Failure("auth", f"nothing to log in with: give {given}; the server takes {takes}")
    advice = f"the server takes {takes}; check user, key and password"
    if not transport.is_active():
        advice = "it hung up; if these were too many keys, use --key or IdentitiesOnly"
    tried = ", ".join(refused) or "a password"
    raise Failure("auth", f"login refused: user {target.username!r} with {tried}; {advice}")


def _attempts(transport: paramiko.Transport, target: Target) -> Iterator[tuple[Any, ...]]:
    """Yield methods of RFC 4252, with what tries each, and what it needs besides the user."""
    only = target.identities_only
    for key in candidates(target.keys, target.passphrase, target.certificates, only):
        yield "publickey", transport.auth_publickey, key
    if target.password is None:  # some old switches want nothing; others tell what they take
        yield "none", transport.auth_none
    else:
        yield "password", transport.auth_password, target.password, None, False
        yield "keyboard-interactive", transport.auth_interactive, _answer(target)


def _answer(target: Target) -> Callable[..., list[str]]:
    """Return what answers one hidden question for a password; any other ends the login."""
    answers = [target.password or ""]

    def answer(title: str, instructions: str, questions: list[tuple[str, bool]]) -> list[str]:
        for question, shown in questions:
            if shown or not answers or not _ASKS_PASSWORD.search(question):
                raise _second_factor(target, f"an answer to {plain(question)[:60]!r}")
        return [answers.pop()] if len(questions) == 1 else []

    return answer


def _second_factor(target: Target, wanted: str) -> Failure:
    advice = "that needs a person; use a login without a second factor"
    return Failure("second-factor", f"{target.host} wants {wanted}: {advice}")
