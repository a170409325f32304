"""What conda and mamba read of an environment that condaw has made."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import yaml
from machine import Machine


def records(project: Path) -> dict[str, dict[str, object]]:
    found = (json.loads(p.read_bytes()) for p in (project / ".conda/conda-meta").glob("*.json"))
    return {record["name"]: record for record in found}


def test_a_record_says_what_the_package_says_of_itself(shown: Path) -> None:
    cryptography = records(shown)["cryptography"]  # the lock has no build strings, and sorts
    wanted = ["python >=3.11", "python_abi 3.11.* *_cp311", "cffi"]
    wanted = [text.replace("311", f"3{sys.version_info[1]}") for text in wanted]
    wanted = [text.replace("3.11", f"3.{sys.version_info[1]}") for text in wanted]
    depends = cryptography["depends"]
    assert isinstance(depends, list)
    assert all(map(str.startswith, depends, wanted)), depends
    assert (shown / ".conda" / "bin" / "pytest").stat().st_mode & 0o777 == 0o755
    rich = records(shown)["rich"]
    assert rich["noarch"] == "python"
    assert rich["license"] == "MIT"


def test_the_specs_asked_for_are_in_records_and_history(shown: Path) -> None:
    asked = yaml.safe_load((shown / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    specs = [spec for spec in asked if isinstance(spec, str)]
    found = records(shown)
    assert {record.get("requested_spec") for record in found.values()} - {None} == set(specs)
    history = (shown / ".conda" / "conda-meta" / "history").read_text(encoding="utf-8")
    header, command, *entries, last = history.splitlines()
    assert header.startswith("==> ")
    assert command == "# cmd: condaw create"
    assert len(entries) == len(found)
    assert last == f"# update specs: {json.dumps(specs)}"


def test_every_file_has_the_hash_that_conda_doctor_would_compute(shown: Path) -> None:
    """conda hashes what a link points to, so the records say nothing of links."""
    from hashlib import sha256

    checked = 0
    for record in records(shown).values():
        for entry in record["paths_data"]["paths"]:  # type: ignore[index]
            if wanted := entry.get("sha256_in_prefix"):
                content = (shown / ".conda" / entry["_path"]).read_bytes()
                assert sha256(content).hexdigest() == wanted, entry["_path"]
                checked += 1
    assert checked


def test_conda_pip_and_uv_are_told_not_to_change_it(shown: Path, machine: Machine) -> None:
    # CEP 22: a JSON object, of which conda prints `message`.
    frozen = json.loads((shown / ".conda" / "conda-meta" / "frozen").read_bytes())
    assert "environment.yml" in frozen["message"] and "condaw lock" in frozen["message"]
    python = shown / ".conda" / "bin" / "python"
    uv = Path(sys.executable).with_name("uv")
    done = machine.run(uv, "pip", "install", "--offline", "--python", python, "x", cwd=shown)
    assert done.returncode == 2
    assert frozen["message"] in " ".join(done.stderr.split())
