"""condaw: this project's conda environment, made from conda-lock.yml and verified file by file."""

__version__ = "0.1.0"
"""The version of the template that this copy came with; see CHANGELOG.md there."""
