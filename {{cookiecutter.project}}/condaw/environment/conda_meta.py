"""conda-meta as conda and mamba expect it: whole records, the specs asked for, a history.

Also the marks that stop conda and pip from changing the environment. Sources: CEP 34 (contents of
conda packages), conda's `conda/models/records.py` and `conda/history.py`.
"""

import json
import time
from collections.abc import Sequence
from pathlib import Path

from condaw.base.layout import META
from condaw.base.project import Project
from condaw.lockfile import environment_yml
from condaw.lockfile.package import Package
from condaw.lockfile.satisfies import requested

INDEX_KEYS = ("constrains", "license", "license_family", "noarch", "timestamp", "track_features")
"""What a package says of itself in info/index.json, and a lock does not."""

PROTECTED = (
    "condaw makes this environment from conda-lock.yml: write the package into environment.yml, "
    "run `python -m condaw lock`, and then `python -m condaw create`."
)
FROZEN, MANAGED = json.dumps({"message": PROTECTED}), f"[externally-managed]\nError={PROTECTED}\n"
"""What refuses a change by conda and mamba (CEP 22), and by pip and uv (PEP 668)."""


def protect(prefix: Path, site: Path) -> None:
    """Mark `prefix` as one that conda and pip must not change, unless the user insists."""
    (prefix / META / "frozen").write_text(FROZEN, encoding="utf-8")
    if not (marker := site.with_name("EXTERNALLY-MANAGED")).exists():
        marker.write_text(MANAGED, encoding="utf-8")


def complete_records(project: Project, prefix: Path, packages: Sequence[Package]) -> None:
    """Complete rattler's records in `prefix`; write the variables, and begin a history."""
    specs = requested(project)
    for package in packages:
        file = prefix / META / f"{package.stem}.json"
        record = json.loads(file.read_text(encoding="utf-8"))
        index_json = Path(record["extracted_package_dir"], "info", "index.json")
        index = json.loads(index_json.read_text(encoding="utf-8"))
        record |= {key: index[key] for key in ("depends", *INDEX_KEYS) if key in index}
        record |= {"url": package.url, "channel": package.channel}
        for entry in record["paths_data"]["paths"]:
            if entry["path_type"] == "softlink":
                entry.pop("sha256_in_prefix", None)  # of a link, conda would hash what it points to
            elif entry["path_type"] == "unix_python_entry_point":
                (prefix / entry["_path"]).chmod(0o755)  # as conda does
        if spec := specs.get(package.name):
            record |= {"requested_spec": spec, "requested_specs": [spec]}
        file.unlink()  # some file systems flush a file that is truncated and written again
        file.write_text(json.dumps(record), encoding="utf-8")
    if variables := environment_yml.variables(project):
        text = json.dumps({"env_vars": variables})
        (prefix / META / "state").write_text(text, encoding="utf-8")
    history = [
        time.strftime("==> %Y-%m-%d %H:%M:%S <=="),
        "# cmd: condaw create",
        *sorted(f"+{p.channel}/{p.subdir}::{p.stem}" for p in packages),
        f"# update specs: {json.dumps(list(specs.values()))}\n",
    ]
    (prefix / META / "history").write_text("\n".join(history), encoding="utf-8")
