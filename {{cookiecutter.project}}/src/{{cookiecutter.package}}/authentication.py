"""Authentication: the keys, then the password. Nobody is ever asked anything."""

import re
from collections.abc import Callable, Sequence

from paramiko import BadAuthenticationType, SSHException, Transport

from . import keys
from .failures import Failure, Refused, plain
from .targets import Target

_ASKS_PASSWORD = re.compile(r"pass(?!code)|kennwort|密码|密碼|пароль|senha|contrase", re.IGNORECASE)
_BROKEN = (SSHException, OSError, EOFError)


def authenticate(transport: Transport, target: Target, user: str) -> None:
    """Log in with the keys, then the password. Raises Failure."""
    tried, methods = 0, ["password", "keyboard-interactive"]
    for key in keys.candidates(target.keys, target.agent, target.identities_only):
        try:
            more = transport.auth_publickey(user, key)
        except BadAuthenticationType as error:  # the server takes no keys
            methods = error.allowed_types
            break
        except _BROKEN:  # some keys cannot be agreed on
            tried += 1
            if not transport.is_active():
                advice = "name one with --key, or IdentityFile and IdentitiesOnly"
                raise Refused(f"the server hung up after {tried} keys: {advice}") from None
            continue
        if not more:
            return
        if target.password is None:
            raise _second_factor(target, f"more than a key ({', '.join(more)})")
        methods = more
        break
    if target.password is None:
        _nothing(transport, user, tried)
    else:
        _password(transport, target, user, methods)


def _password(transport: Transport, target: Target, user: str, methods: Sequence[str]) -> None:
    """Give the password, by either of its two ways. Raises Failure."""
    ways: dict[str, Callable[[], list[str]]] = {
        "password": lambda: transport.auth_password(user, target.password or "", fallback=False),
        "keyboard-interactive": lambda: transport.auth_interactive(user, _answer(target)),
    }
    for way, attempt in ways.items():
        if way not in methods:
            continue
        try:
            more = attempt()
        except BadAuthenticationType as error:
            methods = error.allowed_types
            continue
        except _BROKEN:
            ended = "" if transport.is_active() else ", and the server hung up"
            said = f"the password of user {user!r} was not accepted{ended}"
            raise Refused(f"login refused: {said}; check both") from None
        if more:
            raise _second_factor(target, f"more than a password ({', '.join(more)})")
        return
    said = f"the server takes no password, but {', '.join(methods)}"
    raise Refused(f"login refused: {said}; check user and keys")


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
    return Failure("auth", f"{target.host} wants {wanted}: {advice}")


def _nothing(transport: Transport, user: str, tried: int) -> None:
    """Try to log in with nothing, as some old switches allow; else say what is missing."""
    try:
        transport.auth_none(user)
    except _BROKEN as error:
        ways = ", ".join(getattr(error, "allowed_types", [])) or "no way that it names"
        if tried:
            said = f"{tried} keys" if tried > 1 else "the key"
            sentence = f"login refused: {said} of user {user!r} did not do"
            raise Refused(f"{sentence}; the server takes {ways}") from None
        sentence = "nothing to log in with: give --key, an ssh-agent or SSH_UPTIME_PASSWORD"
        sentence += ", or SSH_UPTIME_PASSPHRASE for an encrypted key"
        raise Failure("auth", f"{sentence}; the server takes {ways}") from None
