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
        causes.append(error)
        error = error.__cause__ or error.__context__
    for cause in causes:
        if isinstance(cause, Failure):
            return cause
    for cause in causes:
        known = _known(cause, prompted)
        if known and (not expired or known[0] == "no-prompt"):
            return Failure(*known)
    if expired:
        return Failure("timeout", "no answer in time: look at the device, or raise --timeout")
    return Failure("no-ssh", f"the session broke off ({_line(causes[-1])}): try again")


def _known(error: BaseException, prompted: bool) -> tuple[str, str] | None:
    from netmiko.exceptions import ReadException, ReadTimeout
    from paramiko import ssh_exception as ssh

    said = _line(error)
    match error:
        case ValueError() if "key_file" in said:
            return "config", f"netmiko says: {said} correct its name"
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
        case ssh.SSHException() if "private key" in said:
            return "config", f"the key file is of no use ({said}): give another with --key"
        case ssh.SSHException() if "banner" in said or "protocol version" in said:
            return "no-ssh", "no SSH server there, or a busy one: check the port, lower --workers"
        case gaierror():
            return "dns", f"the name does not resolve ({said}): check its spelling"
        case TimeoutError() | ReadTimeout():
            return "timeout", "no answer in time: check the address, or raise --timeout"
        case ConnectionRefusedError():
            return "refused", "nothing listens there: check address and port"
        case OSError(filename=str()):
            return "config", f"a file is missing ({said}): correct its name"
        case OSError(errno=int()) if not isinstance(error, ConnectionError):
            return "refused", f"unreachable ({said}): check address and route"
        case TypeError():
            return "config", f"netmiko refuses these settings ({said}): correct the inventory"
    return None


def _line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
