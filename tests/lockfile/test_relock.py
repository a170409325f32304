"""From environment.yml to an environment, again and again: the lock follows, and no more."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from machine import Machine


@pytest.mark.slow
def test_each_pin_holds_when_the_channel_has_something_newer_for_all_of_them(
    own_channel: Path, project: Path, machine: Machine
) -> None:
    text = (project / "environment.yml").read_text(encoding="utf-8")
    pins = dict(re.findall(r"(?m)^ *- ([\w-]+)==(\S+)$", text))
    assert {"pip", "python", "rich"} < pins.keys()
    for path in own_channel.glob("*/repodata.json"):
        index = json.loads(path.read_text(encoding="utf-8"))
        for file, record in list(index["packages.conda"].items()):
            if record["name"] in pins:
                newer = f"{record['version']}.99"
                name = file.replace(record["version"], newer)
                index["packages.conda"][name] = {**record, "version": newer}
        path.unlink()  # it is a hard link
        path.write_text(json.dumps(index), encoding="utf-8")
    for words in (["lock"], ["lock", "--check"], ["create"]):
        done = machine.condaw(project, *words)
        assert done.returncode == 0, done.stderr
    lock = (project / "conda-lock.yml").read_text(encoding="utf-8")
    assert set(pins.items()) <= set(re.findall(r"- name: (\S+)\n  version: '?([^'\n]+)", lock))
