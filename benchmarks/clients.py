"""The job of ssh-uptime as people write it with other libraries.

    clients.py CONTENDER JOB.json

The job names hosts, port, user, key, device type and command, `known` (one known_hosts file for
all), `each` (a folder with one for each host) and `sessions`, how many may be open at a time. Each
client prints a line for each host.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def _netmiko(job: dict[str, Any], host: str) -> dict[str, Any]:
    return {
        "device_type": job["device_type"],
        "host": host,
        "port": job["port"],
        "username": job["user"],
        "use_keys": True,
        "key_file": job["key"],
        "ssh_strict": True,
        "alt_host_keys": True,
        "alt_key_file": f"{job['each']}/{host}",
    }


def nornir(job: dict[str, Any]) -> None:
    """Ask with nornir and netmiko, in threads; each host's session is closed when it answered."""
    from nornir.core import Nornir
    from nornir.core.inventory import ConnectionOptions, Defaults, Groups, Host, Hosts, Inventory
    from nornir.core.plugins.connections import ConnectionPluginRegister
    from nornir.plugins.runners import ThreadedRunner
    from nornir_netmiko.connections import Netmiko
    from nornir_netmiko.tasks import netmiko_send_command

    ConnectionPluginRegister.register("netmiko", Netmiko)
    own = ("device_type", "host", "port", "username")
    hosts = Hosts()
    for name in job["hosts"]:
        extras = {key: value for key, value in _netmiko(job, name).items() if key not in own}
        options = {"netmiko": ConnectionOptions(extras=extras)}
        hosts[name] = Host(
            name,
            hostname=name,
            port=job["port"],
            username=job["user"],
            platform=job["device_type"],
            connection_options=options,
        )

    def ask(task: Any) -> Any:
        try:
            return task.run(netmiko_send_command, command_string=job["command"])
        finally:
            task.host.close_connections()

    runner = ThreadedRunner(num_workers=job["sessions"])
    with Nornir(Inventory(hosts, Groups(), Defaults()), runner=runner) as network:
        for name, result in network.run(ask).items():
            print(name, result[1].result)


def asyncssh(job: dict[str, Any]) -> None:
    """Ask with asyncssh, in one thread; known_hosts is read once."""
    import asyncio

    import asyncssh

    known = asyncssh.read_known_hosts(job["known"])
    gate = asyncio.Semaphore(job["sessions"])
    options = {"username": job["user"], "client_keys": [job["key"]], "known_hosts": known}

    async def ask(host: str) -> None:
        async with (
            gate,
            asyncssh.connect(host, job["port"], config=None, agent_path=None, **options) as peer,
        ):
            print(host, (await peer.run(job["command"], check=True)).stdout, end="")

    async def all_of_them() -> None:
        await asyncio.gather(*map(ask, job["hosts"]))

    asyncio.run(all_of_them())


def parallel_ssh(job: dict[str, Any]) -> None:
    """Ask with parallel-ssh on libssh2, which has no check of host keys."""
    from pssh.clients import ParallelSSHClient

    client = ParallelSSHClient(
        job["hosts"],
        user=job["user"],
        port=job["port"],
        pkey=job["key"],
        pool_size=job["sessions"],
        allow_agent=False,
    )
    for answer in client.run_command(job["command"]):
        print(answer.host, *answer.stdout)


if __name__ == "__main__":
    client = {"nornir": nornir, "asyncssh": asyncssh, "parallel-ssh": parallel_ssh}
    client[sys.argv[1]](json.loads(Path(sys.argv[2]).read_text(encoding="utf-8")))
