"""What is corrected after uv has installed."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
from condaw.environment import pypi_packages


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return the packages of a prefix: a link to sources in a folder with other letters."""
    sources, site = tmp_path / "Jürgen" / "src", tmp_path / "Lib" / "site-packages"
    info = site / "demo-1.dist-info"
    info.mkdir(parents=True)
    (info / "RECORD").write_text("demo.pth,sha256=old,3\ndemo-1.dist-info/RECORD,,\n")
    (site / "demo.pth").write_text(f"{sources}\n", encoding="utf-8")
    (sources / "demo").mkdir(parents=True)
    (sources / "demo" / "__init__.py").touch()
    return site


def test_a_link_to_sources_is_ascii_where_python_may_read_it_in_another_encoding(
    site: Path,
) -> None:
    pypi_packages.write_ascii_links(site)
    content = (site / "demo.pth").read_bytes()
    assert content.isascii()
    code = "import site, sys; site.addsitedir(sys.argv[1]); import demo"
    subprocess.run([sys.executable, "-c", code, site], check=True)
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
    record = (site / "demo-1.dist-info" / "RECORD").read_text(encoding="utf-8")
    assert record.splitlines()[0] == f"demo.pth,sha256={digest},{len(content)}"


AS_ON_WINDOWS = """
import site, sys
prefix, packages = sys.argv[1:]
sys.executable = prefix + "/python"
sys.prefix = sys.exec_prefix = sys.base_prefix = prefix
site.venv(set())
site.addsitedir(packages)
print(sys.prefix, sys.exec_prefix)
"""
"""How Python starts whose program lies in its prefix, not in a folder `bin`."""


def test_a_python_in_its_prefix_installs_there_and_not_in_the_project(site: Path) -> None:
    prefix = site.parent.parent
    command = [sys.executable, "-I", "-S", "-c", AS_ON_WINDOWS, str(prefix), str(site)]
    with pypi_packages.relocatable(prefix, site):
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.split() == [str(prefix), str(prefix)]
    assert {path.name for path in prefix.iterdir()} == {"Jürgen", "Lib"}
    assert [path.name for path in site.glob("*.pth")] == ["demo.pth"]
