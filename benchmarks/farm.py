"""A farm of SSH servers on loopback: one process, an address in 127.1.0.0/16 for each host.

Runs by itself: farm.py FOLDER HOSTS PORT DELAY. `FOLDER` gets the keys.
"""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ANSWERS = {
    "uptime": " 12:00:00 up 1 day,  2:03,  1 user,  load average: 0.00, 0.00, 0.00\n",
    "show version": "Cisco IOS Software\nfarm uptime is 1 day, 2 hours, 3 minutes\n",
}
"""Of a Linux host and of a device; both have the same shell, and the same uptime."""
USER = "me"
PROMPT = "farm#"


def address(index: int) -> str:
    """Return the loopback address of a host of the farm."""
    return f"127.1.{index // 250}.{index % 250 + 1}"


def many_files() -> None:
    """Let this process and those that it starts have as many sockets as the system allows."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@contextmanager
def farm(folder: Path, hosts: int, port: int, delay: float) -> Iterator[str]:
    """Run a farm until the block ends; yield the public key of all its hosts."""
    command = [sys.executable, __file__, str(folder), str(hosts), str(port), str(delay)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout
        try:
            if not (key := process.stdout.readline().strip()):
                sys.exit(f"the farm of {hosts} hosts did not start on port {port}")
            yield key
        finally:
            process.kill()


async def serve(folder: Path, hosts: int, port: int, delay: float) -> None:
    """Answer on `port`; with a `delay`, the round trip in seconds, on the next port too."""
    import asyncssh

    host_key, user_key = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    (folder / "id").write_bytes(user_key.export_private_key())
    (folder / "id").chmod(0o600)
    (folder / "id.pub").write_bytes(user_key.export_public_key())

    async def shell(process: Any) -> None:
        if process.command:
            process.stdout.write(ANSWERS.get(process.command, ""))
            process.exit(0)
            return
        process.stdout.write(PROMPT)
        async for line in process.stdin:
            answer = ANSWERS.get(line.strip(), "")
            process.stdout.write(f"{line.rstrip()}\n{answer}{PROMPT}")

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(delay)  # the handshake of TCP
        host, number = writer.get_extra_info("sockname")
        there = await asyncio.open_connection(host, number - 1)
        await asyncio.gather(pump(reader, there[1]), pump(there[0], writer))

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        while data := await reader.read(65536):
            loop.call_later(delay / 2, writer.write, data)
        loop.call_later(delay / 2, writer.close)

    for index in range(hosts):
        await asyncssh.listen(
            address(index),
            port,
            backlog=500,
            line_editor=False,
            server_host_keys=[host_key],
            authorized_client_keys=str(folder / "id.pub"),
            process_factory=shell,
        )
        if delay:
            await asyncio.start_server(relay, address(index), port + 1, backlog=500)
    print(host_key.export_public_key().decode().strip(), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    many_files()
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))
