"""One command on one host: without a terminal where there is a real shell, else by netmiko."""

import re
from typing import TYPE_CHECKING, Any

import paramiko

from .devices import DEVICES
from .failures import Failure, last_line
from .session import Session
from .targets import Target

if TYPE_CHECKING:
    from netmiko import BaseConnection

MOST = 1_000_000
"""Bytes of an answer. A device that prints more is not asked for the right thing."""


def ask(target: Target, command: str, timeout: float = 30.0) -> str:
    """Log in to a host, run a command and return what it prints. Raises Failure.

    All of it takes at most `timeout` seconds. The command is run once, or not at all.
    """
    with Session(target, timeout) as session:
        return run(session, command)


def run(session: Session, command: str) -> str:
    """Run a command in a session and return what it prints. Raises Failure."""
    device = DEVICES.get(session.target.device_type)
    try:
        return _exec(session, command) if device and device.unix else _netmiko(session, command)
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


def _netmiko(session: Session, command: str) -> str:
    """Let netmiko type a command at a device's prompt.

    The login is ours, for its host keys, second factors and time limits. netmiko does what it is
    good at: the prompts, pagers and quirks of each device type.
    """
    from netmiko import ConnectHandler  # takes 0.2 s: not where only Unix hosts are asked
    from netmiko.exceptions import NetmikoBaseException, ReadException

    target = session.target
    try:
        connection = ConnectHandler(
            **target.settings,
            device_type=target.device_type,
            host=target.host,
            username=target.username,
            password=target.password,
            auto_connect=False,
        )
    except (TypeError, ValueError) as error:
        raise Failure("config", f"netmiko refuses these settings: {error}") from None
    try:
        prompt = _find_prompt(session, connection)
        return str(connection.send_command(command, prompt, read_timeout=session.left()))
    except (NetmikoBaseException, ReadException) as error:
        reason = last_line(str(error))
        raise Failure("command", f"no end of the answer to {command!r}: {reason}") from error
    finally:
        connection.disconnect()


def _find_prompt(session: Session, connection: "BaseConnection") -> str:
    """Open a shell, prepare it for a program, and return a pattern for its prompt.

    These are the steps of netmiko's establish_connection, on a transport that is logged in.
    """
    from netmiko import redispatch

    shell = session.transport.open_session(timeout=session.left())
    shell.get_pty("vt100", 511, 1000)
    shell.invoke_shell()
    connection.remote_conn, connection.remote_conn_pre = shell, None
    connection.channel = channel = _channel(shell, connection.encoding)
    try:
        connection.special_login_handler()
        redispatch(connection, session.target.device_type)  # reads the prompt, stops the pager
    except Exception as error:  # netmiko has no one base class for what it does not understand
        said = f", it says {line!r}" if (line := last_line(channel.seen)) else ""
        advice = "check the device type, and the user's shell"
        raise Failure("no-prompt", f"logged in, but no prompt came{said}: {advice}") from error
    # With the prompt at hand, netmiko does not search it again, which would be a round trip.
    return rf"{re.escape(connection.base_prompt)}[^\n]*(?<=[$#>%])\s*$"


def _channel(shell: paramiko.Channel, encoding: str) -> Any:
    from netmiko.channel import SSHChannel
    from netmiko.exceptions import ReadException

    class Channel(SSHChannel):
        """netmiko's channel, which notices the end of a session and an answer without end."""

        seen = ""

        def read_channel(self) -> str:
            output = super().read_channel()
            self.seen += output
            if len(self.seen) > MOST:
                raise Failure("parse", "it prints without end: check the device type")
            if not output and shell.closed:
                raise ReadException("the device closed the session")
            return output

    return Channel(shell, encoding)
