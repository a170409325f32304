"""The fixtures of ssh_servers, for the tests in this folder."""

from ssh_servers import farm, home, sshd

__all__ = ["farm", "home", "sshd"]
