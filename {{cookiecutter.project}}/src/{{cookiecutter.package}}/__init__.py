"""The uptime of a fleet over SSH: hosts in, one row for each host out.

To read it, begin with `ask` (one command on one host) and `devices` (which command, and how its
answer is read). `device_shell` types at a device's prompt, `fleet.collect` asks many hosts. Before
that, `inventory` says which hosts, and `targets` how each is reached.
"""
