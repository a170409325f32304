"""The uptime of a fleet over SSH: hosts in, one row for each host out.

`cli` is the command; `fleet.collect` is what a program calls.
"""
