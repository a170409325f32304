"""How channels are reached: rattler's client, with what the user has configured already."""

from __future__ import annotations

import functools

from rattler import Client, Config

TIMEOUT = 60
"""Seconds without an answer, after which a request is given up and tried again."""


@functools.cache
def config() -> Config:
    """rattler's own configuration files: mirrors, proxies, TLS roots, credential store."""
    return Config.load_from_default_locations("rattler")


@functools.cache
def client() -> Client:
    """A client that follows `config`, tries again three times, and does not wait for ever."""
    return Client.from_config(config(), max_retries=3, user_agent="condaw", timeout=TIMEOUT)
