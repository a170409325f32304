"""The uptime of a fleet over SSH: hosts in, one row for each host out.

To read it, begin with `ask` (one command on one host) and `devices` (which command, and how its
answer is read). `fleet.collect` asks many hosts, `session` logs in, `targets` knows how.
"""
