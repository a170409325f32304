"""Where PyPI packages come from: what the user has configured for pip, handed on to uv."""

from __future__ import annotations

import ast
import os
import re
import sys

from condaw import process


def pip_settings() -> dict[str, str]:
    """pip's own settings (`index-url`, `extra-index-url`, ...), from its files and variables.

    Asked of pip, so that files are found and weighed as pip does it; without pip, the
    environment variables alone.
    """
    settings: dict[str, str] = {}
    listing = process.run([sys.executable, "-m", "pip", "config", "list"])
    if listing.returncode == 0:
        found = re.findall(r"^(.+?)\.([\w-]+)=(['\"].*['\"])$", listing.stdout, re.M)
        weight = {"global": 0, "install": 1, ":env:": 2}
        for section, key, value in sorted(found, key=lambda line: weight.get(line[0], -1)):
            if section in weight:
                settings[key] = str(ast.literal_eval(value))
    for name, value in os.environ.items():
        if name.startswith("PIP_") and value:
            settings[name[4:].lower().replace("_", "-")] = value
    return settings


def uv_environment() -> dict[str, str]:
    """The environment in which uv fetches from where pip would.

    Settings go in by variables, not arguments, since an index URL may hold a password. What the
    user has set for uv itself stays. uv stops at the first index that has a name; pip looks at
    all of them, which is safe here because each file's sha256 is known.
    """
    pip = pip_settings()
    wanted = {
        "UV_DEFAULT_INDEX": pip.get("index-url"),
        "UV_INDEX": " ".join(pip.get("extra-index-url", "").split()),
        "UV_FIND_LINKS": ",".join(pip.get("find-links", "").split()),
        "UV_NO_INDEX": pip.get("no-index"),
        "SSL_CERT_FILE": pip.get("cert"),
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }
    return {name: value for name, value in wanted.items() if value} | dict(os.environ)
