"""One command on one device, with netmiko and nothing else: copy it and change it.

    python -m condaw run -- python examples/first.py cisco_ios 192.0.2.1 netops "show version"

Asks for a password. The host must be in ~/.ssh/known_hosts: `ssh netops@192.0.2.1` puts it there.
"""

import sys
from getpass import getpass

from netmiko import ConnectHandler

device_type, host, user, command = sys.argv[1:]
device = {
    "device_type": device_type,
    "host": host,
    "username": user,
    "password": getpass(),
    "ssh_strict": True,  # refuse a host key that is not known; netmiko's default takes any
    "system_host_keys": True,  # known is what is in ~/.ssh/known_hosts
}
with ConnectHandler(**device) as connection:
    print(connection.send_command(command))
