"""A command at the prompt of a network device, typed by netmiko on a login of our own.

The login is ours for its host keys, second factors and time limits. netmiko does what it is good
at: the prompts, pagers and quirks of each device type.
"""

import re
from contextlib import suppress

import paramiko
from netmiko import BaseConnection, ConnectHandler, redispatch
from netmiko.channel import SSHChannel
from netmiko.exceptions import NetmikoBaseException, ReadException

from .ask import MOST, Session
from .failures import Failure, last_line


class Channel(SSHChannel):
    """netmiko's channel, which notices the end of a session and an answer without end."""

    def __init__(self, shell: paramiko.Channel, encoding: str) -> None:
        """Wrap the channel of a shell."""
        super().__init__(shell, encoding)
        self.shell = shell
        self.seen = ""
        self.typed: set[str] = set()

    def write_channel(self, out_data: str) -> None:
        """Type something. A terminal echoes it, which is nothing that the device says."""
        self.typed.add(out_data.strip())
        super().write_channel(out_data)

    def read_channel(self) -> str:
        """Return what is there. Raises ReadException at the end of the session, and Failure."""
        output = str(super().read_channel())
        self.seen += output
        if len(self.seen) > MOST:
            raise Failure("parse", "it prints without end: check the device type")
        if not output and self.shell.closed:
            raise ReadException("the device closed the session")
        return output


def send_command(session: Session, command: str) -> str:
    """Type a command at the prompt and return the answer. Raises Failure."""
    target = session.target
    who = {"host": target.host, "username": target.username, "password": target.password}
    try:
        connection = ConnectHandler(
            **target.settings, **who, device_type=target.device_type, auto_connect=False
        )
    except (TypeError, ValueError) as error:
        raise Failure("config", f"netmiko refuses these settings: {error}") from None
    try:
        prompt = _prepare(session, connection)
        return str(connection.send_command(command, prompt, read_timeout=session.left()))
    except (NetmikoBaseException, ReadException) as error:
        reason = last_line(str(error))
        raise Failure("command", f"no end of the answer to {command!r}: {reason}") from error
    finally:
        connection.disconnect()


def _prepare(session: Session, connection: BaseConnection) -> str:
    """Open a shell, prepare it for a program, and return a pattern for its prompt.

    These are the steps of netmiko's establish_connection, on a transport that is logged in.
    """
    shell = session.transport.open_session(timeout=session.left())
    shell.get_pty("vt100", 511, 1000)
    shell.invoke_shell()
    connection.remote_conn, connection.remote_conn_pre = shell, None
    connection.channel = channel = Channel(shell, connection.encoding)
    try:
        connection.special_login_handler()
        redispatch(connection, session.target.device_type)  # reads the prompt, stops the pager
    except Exception as error:  # netmiko has no one base class for what it does not understand
        with suppress(ReadException):  # a device that hangs up may have said why
            channel.read_channel()
        lines = [line for line in channel.seen.splitlines() if line.strip() not in channel.typed]
        said = f", it says {line!r}" if (line := last_line("\n".join(lines))) else ""
        advice = "check the device type, and the user's shell"
        raise Failure("no-prompt", f"logged in, but no prompt came{said}: {advice}") from error
    # A device far away may not have shown all prompts yet. Some types would wait for no echo.
    connection.global_cmd_verify = session.target.settings.get("global_cmd_verify")
    # With the prompt at hand, netmiko does not search it again, which would be a round trip.
    return rf"{re.escape(connection.base_prompt)}[^\n]*(?<=[$#>%])\s*$"
