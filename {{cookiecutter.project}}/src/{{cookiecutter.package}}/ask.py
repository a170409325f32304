"""One command on one host: without a terminal where there is a real shell, else by netmiko."""

import paramiko

from .devices import DEVICES
from .failures import Failure, last_line
from .session import MOST, Session, login
from .targets import Target


def ask(target: Target, command: str, timeout: float = 30.0) -> str:
    """Log in to a host, run a command and return what it prints. Raises Failure.

    All of it takes at most `timeout` seconds. The command is run once, or not at all.
    """
    with login(target, timeout) as session:
        return run(session, command)


def run(session: Session, command: str) -> str:
    """Run a command in a session and return what it prints. Raises Failure."""
    device = DEVICES.get(session.target.device_type)
    try:
        if device and device.unix:
            return _exec(session, command)
        from .device_shell import send_command  # netmiko takes 0.2 s: only where it is needed

        return send_command(session, command)
    except (paramiko.SSHException, EOFError, OSError) as error:
        reason = last_line(str(error)) or "the session broke off"
        raise Failure("command", f"logged in, but {command!r} failed: {reason}") from error


def _exec(session: Session, command: str) -> str:
    """Run a command as `ssh HOST COMMAND` does. Works with any shell, and any prompt or none."""
    channel = session.transport.open_session(timeout=session.left())
    channel.settimeout(session.left())
    channel.set_combine_stderr(True)
    channel.exec_command(command)
    answer = b""
    while received := channel.recv(65536):
        answer += received
        if len(answer) > MOST:
            raise Failure("parse", f"{command!r} is answered without end: check the device type")
    if channel.recv_exit_status() < 0 and not session.transport.is_active():
        raise EOFError
    return answer.decode("utf-8", "replace")
