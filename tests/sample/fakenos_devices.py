"""Runs FakeNOS devices until stdin is closed. Arguments: a host key file, type=port ..."""

import sys

from fakenos import FakeNOS

key, *devices = sys.argv[1:]
hosts = {
    kind: {
        "port": int(port),
        "platform": kind,
        "server": {
            "plugin": "ParamikoSshServer",
            "configuration": {"address": "127.0.0.1", "timeout": 1, "ssh_key_file": key},
        },
    }
    for kind, _, port in (device.partition("=") for device in devices)
}
default = {"username": "user", "password": "user"}
network = FakeNOS({"default": default, "hosts": hosts})
network.start()
print("ready", flush=True)
sys.stdin.read()
network.stop()
