"""Known vulnerabilities of what is locked: pixi-sbom reads the lock and asks OSV.

OSV knows packages by their names on PyPI, and so none of a channel's libraries in C.
"""

import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from condaw import engine
from condaw.base import process
from condaw.base.errors import CannotError
from condaw.base.layout import LOCK
from condaw.base.project import Project
from condaw.lockfile import environment_yml, reader, rules
from condaw.network import channels

REPORT = "--vulnerabilities osv --report vulnerabilities --report-format json"
REPORT += " --all-platforms --no-cache --quiet"


def examine(project: Project) -> tuple[list[dict[str, Any]], int, int]:
    """Return what OSV knows of all that is locked, as pixi-sbom writes it; how many packages have a
    name on PyPI; and how many there are. Raises CannotError if there is no answer."""
    every = [reader.locked_packages(project, name) for name in reader.made_for(project)[1]]
    packages = {(p.manager, p.name): p for packages in every for p in packages}
    names = {}
    for package in packages.values():
        if package.dependencies.keys() & {"python", "python_abi"}:
            known = rules.on_pypi([package.name])
            names[package.name] = min(known - {canonicalize_name(package.name)} or known)
    reports = _ask(project, names)
    unknown = {name for report in reports for name in report["summary"]["without_identity"]}
    found = {
        (each["package"], each["version"], each["id"]): each
        for report in reports
        for each in report["vulnerabilities"]
    }
    return [found[key] for key in sorted(found)], len(packages) - len(unknown), len(packages)


def _ask(project: Project, names: dict[str, str]) -> list[dict[str, Any]]:
    """Return a report for each platform; `names` are those on PyPI of conda packages."""
    program = next(engine.fetched(engine.AUDIT).glob("*/pixi-sbom*"))
    text = project.lock_file.read_text(encoding="utf-8")
    for url in environment_yml.channel_urls(project):  # it takes names for this channel alone
        text = text.replace(f"{url}/", f"{channels.PUBLIC}conda-forge/")
    with tempfile.TemporaryDirectory() as name:
        lock, mapping = Path(name, LOCK), Path(name, "names.json")
        lock.write_text(text, encoding="utf-8")
        mapping.write_text(json.dumps(names), encoding="utf-8")
        if project.pyproject.exists():  # it is looked for beside the lock
            shutil.copy(project.pyproject, name)
        words = ["--pypi-mapping-file", str(mapping), "--lockfile", str(lock)]
        done = process.run([program, *REPORT.split(), *words], cwd=project.root)
    told, *answer = re.split(r"(?m)^(?=[\[{]$)", done.stdout, maxsplit=1)
    # It only warns of an advisory that it cannot read, and then does not know that it is fixed. An
    # error is drawn with a mark before it.
    failed = re.search(r"(?m)^ (?:WARN pixi_sbom::osv:| +\W) (.*)", told)
    if failed or done.returncode:
        cause = failed[1] if failed else process.last_line(told)
        raise CannotError(cause, "check the network, and [tool.pixi-sbom] in pyproject.toml")
    reports: Any = json.loads(answer[0])
    return reports if isinstance(reports, list) else [reports]  # of the only platform
