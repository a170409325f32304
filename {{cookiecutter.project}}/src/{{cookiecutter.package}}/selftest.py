"""A login to a server in this process, which proves that the cryptography works."""

import secrets

from .fleet import Row, probe
from .hostkeys import Line, Trust
from .loopback import Device, serve
from .targets import Target

UPTIME = " 12:00:00 up 1 day,  2:03,  1 user,  load average: 0.00, 0.00, 0.00"


def main() -> int:
    """Log in with the right host key and with a wrong one; return the exit code."""
    device = Device(secrets.token_urlsafe(), answers={"uptime": UPTIME})
    with serve(device) as port:
        good, bad = _probe(port, device, device), _probe(port, device, Device(""))
    if good.uptime_seconds == 93_780 and bad.error == "host-key-changed":
        print(f"self-test passed: logged in over SSH in {good.elapsed} s, refused a wrong host key")
        return 0
    print(f"self-test FAILED: {good.error}: {good.detail}; wrong host key: {bad.error}")
    return 1


def _probe(port: int, device: Device, known: Device) -> Row:
    line = Line("", known.key.get_name(), known.key.get_base64(), "self-test")
    trust = Trust(f"[127.0.0.1]:{port}", (line,))
    target = Target("self-test", "127.0.0.1", "selftest", trust, port, password=device.password)
    return probe(target, timeout=20)
