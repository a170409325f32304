"""condaw: this project's conda environment, made from conda-lock.yml and proved file by file."""
