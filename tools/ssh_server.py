"""An SSH server on loopback that runs any command: a host for the sample to connect to."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncssh


@dataclass(frozen=True)
class Server:
    """What a client needs to log in."""

    port: int
    user: str
    key: Path
    known_hosts: Path


@contextmanager
def ssh_server(folder: Path) -> Iterator[Server]:
    """Serve a shell on 127.0.0.1 until the block ends, for one key, which is made in `folder`."""
    client_key, host_key = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    key, allowed, known_hosts = (folder / name for name in ("id", "allowed", "known_hosts"))
    key.write_bytes(client_key.export_private_key())
    key.chmod(0o600)
    allowed.write_bytes(client_key.export_public_key())
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def listen() -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[host_key],
            authorized_client_keys=str(allowed),
            process_factory=_shell,
        )

    async def close() -> None:
        listener.close()
        await listener.wait_closed()
        sessions = asyncio.all_tasks() - {asyncio.current_task()}
        for task in sessions:
            task.cancel()
        await asyncio.gather(*sessions, return_exceptions=True)

    listener = asyncio.run_coroutine_threadsafe(listen(), loop).result()
    port = listener.get_port()
    public = host_key.export_public_key().decode()
    known_hosts.write_text(f"[127.0.0.1]:{port} {public}", encoding="utf-8")
    try:
        yield Server(port, "operator", key, known_hosts)
    finally:
        asyncio.run_coroutine_threadsafe(close(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _shell(process: asyncssh.SSHServerProcess[str]) -> None:
    """Run a shell on pipes, interactive or with a command: it gets what netmiko types."""
    command = ["-c", process.command] if process.command else ["-i"]
    child = await asyncio.create_subprocess_exec(
        "sh",
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"PATH": "/usr/bin:/bin", "PS1": "operator@loopback:~$ "},
    )
    await process.redirect(stdin=child.stdin, stdout=child.stdout)
    process.exit(await child.wait())
    await process.wait_closed()
