"""From whatever was raised to one kind of failure, and a sentence that says what to do."""

from socket import gaierror


class Failure(Exception):
    """A host that gave no uptime: `kind` is for programs, the message for people."""

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind


def explain(error: BaseException | None, expired: bool, prompted: bool) -> Failure:
    """Name a failure. netmiko calls most of them a time-out, so their causes are looked at.

    `expired` says that the session's time was over, `prompted` that the device gave a prompt.
    """
    causes: list[BaseException] = []
    while error is not None:
        if isinstance(error, Failure):
            return error
        causes.append(error)
        error = error.__cause__ or error.__context__
    for kind, sentence in filter(None, (_known(cause, prompted) for cause in reversed(causes))):
        if not expired or kind == "no-prompt":
            return Failure(kind, sentence)
    if expired:
        return Failure("timeout", "no answer in time: look at the device, or raise --timeout")
    return Failure("no-ssh", f"the session broke off ({_line(causes[-1])}): try again")


def _known(error: BaseException, prompted: bool) -> tuple[str, str] | None:
    from netmiko.exceptions import ReadException, ReadTimeout
    from paramiko import ssh_exception as ssh

    said = _line(error)
    match error:
        case gaierror() | UnicodeError():
            return "dns", f"the name does not resolve ({said}): check its spelling"
        case ValueError() if "key_file" in said:
            return "config", f"no such key file: correct its name ({said})"
        case ReadException() | ValueError() if not prompted:
            return "no-prompt", "logged in, but no prompt came: check device type and user's shell"
        case ssh.IncompatiblePeer():
            remedy = "an old device, SHA-1 only, needs a project made with legacy_ssh=yes"
            return "crypto", f"no algorithm in common ({said}): {remedy}"
        case ssh.PasswordRequiredException():
            return "auth", "the key is encrypted: set SSH_UPTIME_PASSPHRASE, or use --agent"
        case ssh.AuthenticationException():
            return "auth", f"login refused ({said}): check the user, and key or password"
        case ssh.SSHException() if "No authentication methods" in said:
            return "auth", "nothing to log in with: give --key, --agent or SSH_UPTIME_PASSWORD"
        case ssh.SSHException() if "Invalid key" in said:
            return "auth", "the key's passphrase is wrong: set SSH_UPTIME_PASSPHRASE"
        case ssh.SSHException() if "private key" in said:
            return "config", f"the key file is of no use ({said}): give another"
        case ssh.SSHException() if "banner" in said or "protocol version" in said:
            return "no-ssh", "no SSH server there, or a busy one: check the port, lower --workers"
        case FileNotFoundError():
            return "config", f"{said}: install it, or correct its name"
        case TimeoutError() | ReadTimeout():
            return "timeout", "no answer in time: check the address, or raise --timeout"
        case ConnectionRefusedError():
            return "refused", "nothing listens there: check address and port"
        case OSError(errno=int()) if not isinstance(error, ConnectionError):
            return "refused", f"unreachable ({said}): check address and route"
        case TypeError():
            return "config", f"netmiko refuses these settings: {said}"
    return None


def plain(text: str) -> str:
    """On one line, without the control characters that a device could send to a terminal."""
    return "".join(c for c in " ".join(text.split()) if c.isprintable())


def _line(error: BaseException) -> str:
    lines = (plain(line) for line in str(error).splitlines())
    return next(filter(None, lines), repr(error))
