"""Where PyPI packages come from: what the user has configured for pip, passed on to pip and uv.

Of the standard library alone, since the libraries themselves are fetched with it.
"""

import configparser
import os
import re
import sys
from pathlib import Path

from condaw.base.errors import CannotError

PASSED = re.compile(
    r"PIP_(INDEX_URL|EXTRA_INDEX_URL|FIND_LINKS|NO_INDEX|TRUSTED_HOST|KEYRING_PROVIDER|PROXY|CERT"
    r"|CLIENT_CERT|(DEFAULT_)?TIMEOUT|RETRIES|RESUME_RETRIES|(NO_)?CACHE_DIR|USE_FEATURE)"
    r"|UV_(CACHE_DIR|DEFAULT_INDEX|INDEX|INDEX_URL|INDEX_\w+_(USERNAME|PASSWORD)|EXTRA_INDEX_URL|FIND_LINKS"
    r"|INSECURE_HOST|KEYRING_PROVIDER|CREDENTIALS_DIR|NATIVE_TLS|SYSTEM_CERTS|HTTP_\w+"
    r"|REQUEST_TIMEOUT|OFFLINE|LINK_MODE|CONCURRENT_\w+)"
)
"""The settings of pip and uv that hold for files pinned by sha256: where they are, and how they are
reached. Which versions to take, from when, and where to, is for those who choose versions."""


def pip_settings() -> dict[str, str]:
    """Return pip's settings. pip is not asked: that takes a while, and it may not be installed."""
    return {name: value for name, (value, _) in placed_settings().items()}


def placed_settings() -> dict[str, tuple[str, str]]:
    """Return each of pip's settings with the file or the variable that it is from."""
    parsers = {str(file): configparser.RawConfigParser() for file in config_files()}
    try:
        for file, parser in parsers.items():
            parser.read(file, encoding="utf-8")
    except (configparser.Error, OSError, UnicodeDecodeError) as error:
        text = " ".join(str(error).split())
        raise CannotError(f"pip's configuration cannot be read: {text}", "correct it") from None
    found: dict[str, tuple[str, str]] = {}
    for section in ("global", "install"):
        for file, parser in parsers.items():
            items = parser.items(section) if parser.has_section(section) else ()
            found |= {name: (value, file) for name, value in items}
    for name, value in os.environ.items():
        if name.startswith("PIP_") and value:
            found[name[4:].lower().replace("_", "-")] = value, name
    return found


def config_files() -> list[Path]:
    """Return pip's configuration files, whether they exist or not; later ones win. Source: pip's
    user guide, "Configuration", also for what PIP_CONFIG_FILE replaces."""
    own = os.environ.get("PIP_CONFIG_FILE", "")
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - this one never fails
    if own == os.devnull:
        return []
    if sys.platform == "win32":
        name, everyone = "pip.ini", [Path(os.environ.get("PROGRAMDATA", "C:/ProgramData"), "pip")]
        user = [home / "pip", Path(os.environ.get("APPDATA", home), "pip")]
    else:  # those of Linux, then those of macOS
        name, library = "pip.conf", "Library/Application Support/pip"
        shared = (os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")
        everyone = [*(Path(folder, "pip") for folder in shared), Path("/etc"), Path("/", library)]
        config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
        user = [home / ".pip", config / "pip", home / library]
    folders = [*everyone, *([] if Path(own).is_file() else user), Path(sys.prefix)]
    return [*(folder / name for folder in folders), *([Path(own)] if own else [])]


def certificates() -> list[Path]:
    """Return the files of root certificates that are trusted besides the system's, as by pip."""
    cert = pip_settings().get("cert") or os.environ.get("REQUESTS_CA_BUNDLE")
    named = dict.fromkeys(name for name in (os.environ.get("SSL_CERT_FILE"), cert) if name)
    return [file for file in (Path(name).expanduser() for name in named) if not file.is_dir()]


def trust() -> None:
    """Let all that this process loads or starts trust the system's roots and `certificates`, in
    one file until it ends: rattler and uv read one, and on Linux no other then."""
    import atexit  # these are slow to load, and rarely needed
    import ssl
    import tempfile

    os.environ.setdefault("UV_SYSTEM_CERTS", "1")
    if not (files := certificates()):
        return
    roots = ssl.create_default_context().get_ca_certs(binary_form=True)
    try:
        texts = [file.read_text(encoding="utf-8", errors="replace") for file in files]
    except OSError as error:
        cause = f"the root certificates in {error.filename} cannot be read: {error.strerror}"
        raise CannotError(cause, "correct SSL_CERT_FILE, or cert in pip's configuration") from None
    handle, name = tempfile.mkstemp(suffix=".pem")
    atexit.register(os.unlink, name)
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        out.write("\n".join([*map(ssl.DER_cert_to_PEM_cert, roots), *texts]))
    os.environ |= {"SSL_CERT_FILE": name, "REQUESTS_CA_BUNDLE": name}


def pip_environment() -> dict[str, str]:
    """Return the process environment for pip, with the user's settings that are PASSED."""
    settings = pip_settings().items()
    pip = {f"PIP_{n.upper().replace('-', '_')}": " ".join(value.split()) for n, value in settings}
    own = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INPUT": "1"}
    return _passed({**os.environ, **pip}) | own


def uv_environment() -> dict[str, str]:
    """Return the process environment in which uv fetches from where pip would; what the user has
    set for uv itself stays, if it is PASSED. In arguments, anybody could read a password."""
    pip = pip_settings()
    wanted = {
        "UV_DEFAULT_INDEX": pip.get("index-url"),
        "UV_INDEX": " ".join(pip.get("extra-index-url", "").split()),
        "UV_FIND_LINKS": ",".join(pip.get("find-links", "").split()),
        "PIP_NO_INDEX": pip.get("no-index"),
        "UV_SYSTEM_CERTS": "1",
        "UV_INDEX_STRATEGY": "unsafe-best-match",  # like pip; each file's sha256 is known
    }
    return {name: value for name, value in wanted.items() if value} | _passed(dict(os.environ))


def _passed(variables: dict[str, str]) -> dict[str, str]:
    """Return `variables` without the settings of pip and uv that are not PASSED."""
    others = {name for name in variables if name.startswith(("PIP_", "UV_"))}
    return {n: v for n, v in variables.items() if n not in others or PASSED.fullmatch(n)}
