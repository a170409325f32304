"""Stop before the first question where Python or cookiecutter is too old for this template."""

import sys

PYTHON = (3, 10)
COOKIECUTTER = (2, 6)


def cookiecutter_version():
    """The version of the running cookiecutter, or None where it cannot be told."""
    try:
        from importlib.metadata import version

        return tuple(int(part) for part in version("cookiecutter").split(".")[:2])
    except Exception:
        return None


def main():
    if sys.version_info < PYTHON:
        return f"This template needs Python 3.10 or later; cookiecutter runs on {sys.version.split()[0]}."
    found = cookiecutter_version()
    if found and found < COOKIECUTTER:
        return "This template needs cookiecutter 2.6 or later; upgrade it and try again."
    return 0


if __name__ == "__main__":
    sys.exit(main())
