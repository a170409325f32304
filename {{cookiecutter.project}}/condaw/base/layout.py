"""The names of a project's files and folders.

Without pathlib, which takes longer to load than `status` takes to answer.
"""

import os

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
"""The project that carries this copy of condaw."""
LOCK = "conda-lock.yml"
ENVIRONMENT = "environment.yml"
PYPROJECT = "pyproject.toml"
PREFIX = ".conda"
STAGING = ".conda.part"  # where an environment is built before it becomes the prefix
RETIRED = ".conda.old"  # where the old environment goes when the new one becomes the prefix
FILE_LOCK = ".conda.lock"  # held by the one process that may replace the prefix
META = "conda-meta"  # the folder of a prefix for its records
PYTHON = "python.exe" if os.name == "nt" else "bin/python"  # the interpreter of a prefix
