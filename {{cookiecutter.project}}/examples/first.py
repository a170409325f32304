"""One command on one device, with netmiko and nothing else: copy it and change it.

    python -m condaw run -- python examples/first.py cisco_ios netops@192.0.2.1 "show version"

Asks for the password. The host must be in ~/.ssh/known_hosts: log in once with ssh.
"""

import sys
from getpass import getpass

from netmiko import ConnectHandler

device_type, address, command = sys.argv[1:]
user, _, host = address.partition("@")
host, _, port = host.partition(":")
device = {
    "device_type": device_type,
    "host": host,
    "port": int(port or 22),
    "username": user,
    "password": getpass(),
    "ssh_strict": True,  # refuse a host key that is not known; netmiko's default takes any
    "system_host_keys": True,  # known is what is in ~/.ssh/known_hosts
}
with ConnectHandler(**device) as connection:
    print(connection.send_command(command))
