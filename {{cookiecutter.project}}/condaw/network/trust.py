"""Which root certificates are trusted: those that pip trusts, for everything that goes out."""

from __future__ import annotations

import os

from condaw.network.pip_config import pip_settings


def certificates() -> str | None:
    """Return the file of root certificates that the user has configured, None for the default.

    Raises CannotError if pip's configuration cannot be read.
    """
    return os.environ.get("SSL_CERT_FILE") or pip_settings().get("cert")
