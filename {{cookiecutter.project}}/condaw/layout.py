"""The names of a project's files and folders; without pathlib, for `stamp`."""

import os

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
"""The project that carries this copy of condaw."""
LOCK = "conda-lock.yml"
ENVIRONMENT = "environment.yml"
PYPROJECT = "pyproject.toml"
PREFIX = ".conda"
STAGING = ".conda.part"
"""Where an environment is made before it becomes the prefix."""
RETIRED = ".conda.old"
"""Where the old environment is for the moment in which the new one becomes the prefix."""
PYTHON = "python.exe" if os.name == "nt" else "bin/python"
"""The interpreter of a prefix."""
META = "conda-meta"
"""The folder of a prefix for what is known about it."""
