"""Whatever goes wrong during create: the old environment or the new one, and what to do next."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml
from conda_package_streaming import create  # type: ignore[import-untyped]
from harm import UNREACHABLE, archive, assert_tidy, assert_told, contents, point, rewrite, truncate
from loopback import Quiet, served
from machine import VERSION, Machine, Namespace
from rattler.package_streaming import extract

CREATE = [sys.executable, "-m", "condaw", "create"]
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's namespaces")


# -- servers ----------------------------------------------------------------------------------


class Faulty(Quiet):
    """Serves all archives but one well."""

    fault: Callable[[Faulty, bytes], None] | None = None
    faults = 10**6
    """How often the fault shows."""

    def do_GET(self) -> None:
        if "/iniconfig-" not in self.path or not Faulty.fault or not Faulty.faults:
            return super().do_GET()
        Faulty.faults -= 1
        return Faulty.fault(self, Path(self.translate_path(self.path)).read_bytes())

    def answer(self, content: bytes, length: int) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(content)

    def sign(self, content: bytes) -> None:
        """Send the client on and on, as to a store that wants a signature."""
        self.send_response(302)
        self.send_header("Location", f"{self.path.partition('?')[0]}?X-Amz-Signature=s3cr3t")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def swap(self, content: bytes) -> None:
        other = archive(Path(self.directory), "pluggy").read_bytes()
        self.answer(other, len(other))

    def cut(self, content: bytes) -> None:
        self.answer(content[: len(content) // 2], len(content))
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True


SERVERS: dict[str, Callable[[Faulty, bytes], None]] = {
    "404": lambda server, content: server.send_error(404),
    "503": lambda server, content: server.send_error(503),
    "Invalid": lambda server, content: server.answer(b"<html>log in</html>", 19),
    "end of file": Faulty.cut,
    "redirect": Faulty.sign,
    "hash mismatch": Faulty.swap,
}


def test_a_server_that_fails_leaves_the_old_environment_and_is_told(
    own_channel: Path, small: Path, fresh: Machine
) -> None:
    with served(own_channel, Faulty) as url:
        point(small, own_channel.as_uri(), url)
        Faulty.fault = None
        assert fresh.condaw(small, "create").returncode == 0
        before = contents(small)
        for cause, fault in SERVERS.items():
            shutil.rmtree(fresh.cache / "pkgs")
            Faulty.fault, Faulty.faults = fault, 10**6
            done = fresh.condaw(small, "create", "--repair")
            assert_told(done, cause, "check the network, the proxy and the channel")
            assert "iniconfig-" in done.stderr, cause
            assert "s3cr3t" not in done.stderr
            assert contents(small) == before, cause
            assert_tidy(small)
        Faulty.fault = None
        assert fresh.condaw(small, "create", "--repair").returncode == 0
    assert contents(small) == before
    assert_tidy(small, fresh.cache)
    # The server is gone, and everything is in the cache.
    done = fresh.condaw(small, "create", "--repair", **UNREACHABLE)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(fresh.cache / "pkgs")
    assert_told(fresh.condaw(small, "create", "--repair"), "Connection refused")
    assert fresh.condaw(small, "verify").returncode == 0


@pytest.mark.parametrize("fault", ["503", "end of file"])
def test_a_server_that_fails_once_is_asked_again(
    fault: str, own_channel: Path, small: Path, fresh: Machine
) -> None:
    with served(own_channel, Faulty) as url:
        point(small, own_channel.as_uri(), url)
        Faulty.fault, Faulty.faults = SERVERS[fault], 1
        done = fresh.condaw(small, "create")
    assert done.returncode == 0, done.stderr
    assert Faulty.faults == 0


# -- the lock ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "over_http", "cause"),
    [
        ("iniconfig", False, "locked is " + "0" * 64),
        ("iniconfig", True, "hash mismatch"),
        ("textfsm", False, "the PyPI packages could not be installed"),
    ],
)
def test_a_wrong_sha256_in_the_lock_installs_nothing(
    name: str, over_http: bool, cause: str, own_channel: Path, small: Path, fresh: Machine
) -> None:
    lock = small / "conda-lock.yml"
    document = yaml.safe_load(lock.read_text(encoding="utf-8"))
    entry = next(entry for entry in document["package"] if entry["name"] == name)
    entry["hash"] = {"sha256": "0" * 64}
    lock.write_text(yaml.safe_dump(document), encoding="utf-8")
    with served(own_channel) as url:
        if over_http:
            point(small, own_channel.as_uri(), url)
        done = fresh.condaw(small, "create")
    assert_told(done, cause, "")
    assert not (small / ".conda").exists()
    assert_tidy(small)


def test_an_environment_whose_inputs_change_while_it_is_made_is_stale(
    own_channel: Path, small: Path, fresh: Machine
) -> None:
    def edit(server: Faulty, content: bytes) -> None:
        with (small / "environment.yml").open("a", encoding="utf-8") as out:
            out.write("# later\n")
        server.answer(content, len(content))

    with served(own_channel, Faulty) as url:
        point(small, own_channel.as_uri(), url)
        Faulty.fault, Faulty.faults = edit, 1
        assert fresh.condaw(small, "create").returncode == 0
    status = fresh.condaw(small, "status")
    assert status.stdout.startswith("stale: environment.yml has changed since it was made")


# -- the cache --------------------------------------------------------------------------------


HARMS: list[Callable[[Path], object]] = [
    lambda package: rewrite(package / "site-packages/iniconfig/__init__.py", b"evil = True\n"),
    lambda package: truncate(package / "site-packages/iniconfig/__init__.py"),
    lambda package: (package / "site-packages/iniconfig/__init__.py").unlink(),
    lambda package: (package / "site-packages/iniconfig/foreign.py").touch(),
    lambda package: rewrite(package / "info/paths.json", b"{"),
    lambda package: shutil.rmtree(package / "info"),
    lambda package: package.with_name(f"{package.name}.lock").write_bytes(b"not rattler's"),
]


def test_a_poisoned_package_cache_heals(own_channel: Path, small: Path, fresh: Machine) -> None:
    assert fresh.condaw(small, "create").returncode == 0
    before = contents(small)
    for number, harm in enumerate(HARMS):
        [package] = (path for path in fresh.cache.glob("pkgs/iniconfig-*") if path.is_dir())
        harm(package)
        done = fresh.condaw(small, "create", "--repair")
        assert done.returncode == 0, f"{number}: {done.stderr}"
        assert contents(small) == before, number
    # What died in the middle of a download is swept away.
    (fresh.cache / "pkgs" / ".iniconfig-1.0-0AbCdEf").mkdir()
    assert fresh.condaw(small, "create", "--repair").returncode == 0
    assert_tidy(small, fresh.cache)
    # rattler cannot replace a file by a folder.
    [package] = (path for path in fresh.cache.glob("pkgs/iniconfig-*") if path.is_dir())
    shutil.rmtree(package)
    package.touch()
    assert_told(fresh.condaw(small, "create", "--repair"), "iniconfig", "remove what is in its way")
    assert contents(small) == before


def test_a_cached_file_that_gets_the_prefix_written_into_it_heals(
    own_channel: Path, small: Path, fresh: Machine
) -> None:
    assert fresh.condaw(small, "create").returncode == 0
    before = contents(small)
    [listing] = fresh.cache.glob("pkgs/python-3*/info/paths.json")
    paths = json.loads(listing.read_text(encoding="utf-8"))["paths"]
    name = next(entry["_path"] for entry in paths if entry.get("prefix_placeholder"))
    original = listing.parents[1] / name
    rewrite(original, original.read_bytes() + b"# evil\n")
    done = fresh.condaw(small, "create", "--repair")
    assert done.returncode == 0, done.stderr
    assert contents(small) == before


def test_a_damaged_python_in_the_cache_heals_before_anything_of_it_runs(
    own_channel: Path, small: Path, fresh: Machine, tmp_path: Path
) -> None:
    assert fresh.condaw(small, "create").returncode == 0
    before, ran = contents(small), tmp_path / "ran"
    [package] = (path for path in fresh.cache.glob("pkgs/python-3*") if path.is_dir())
    [module] = package.glob("lib/python3*/os.py")
    with module.open("a", encoding="utf-8") as out:  # in place, as an edit in an environment is
        out.write(f"open({str(ran)!r}, 'w')\n")
    for library in package.glob("lib/libpython3*.so*"):
        truncate(library)
    done = fresh.condaw(small, "create", "--repair")
    assert done.returncode == 0, done.stderr
    assert contents(small) == before
    assert not ran.exists()


def build_again(path: Path, scratch: Path) -> None:
    """Put other content into a package, and leave name, version and build as they are."""
    extract(path, scratch)
    module = scratch / "site-packages/iniconfig/__init__.py"
    module.write_text(module.read_text(encoding="utf-8") + "# again\n", encoding="utf-8")
    document = json.loads((scratch / "info/paths.json").read_text(encoding="utf-8"))
    entry = next(e for e in document["paths"] if e["_path"].endswith("iniconfig/__init__.py"))
    entry["sha256"] = hashlib.sha256(module.read_bytes()).hexdigest()
    entry["size_in_bytes"] = module.stat().st_size
    (scratch / "info/paths.json").write_text(json.dumps(document), encoding="utf-8")
    path.unlink()
    with create.conda_builder(path.stem, path.parent, compression_level=1) as package:
        for file in sorted(scratch.rglob("*")):
            package.add(file, file.relative_to(scratch).as_posix(), recursive=False)


def test_a_cached_package_of_the_same_name_and_build_is_not_taken_for_the_locked_one(
    own_channel: Path, small: Path, fresh: Machine, tmp_path: Path
) -> None:
    assert fresh.condaw(small, "create").returncode == 0
    path = archive(own_channel, "iniconfig")
    old = hashlib.sha256(path.read_bytes()).hexdigest()
    build_again(path, tmp_path / "scratch")
    point(small, old, hashlib.sha256(path.read_bytes()).hexdigest())
    lock = small / "conda-lock.yml"
    text = lock.read_text(encoding="utf-8")
    lock.write_text(re.sub(r"(?m)^    md5: .*\n", "", text), encoding="utf-8")
    done = fresh.condaw(small, "create")
    assert done.returncode == 0, done.stderr
    [module] = (small / ".conda").rglob("iniconfig/__init__.py")
    assert module.read_text(encoding="utf-8").endswith("# again\n")


def test_file_times_of_a_wrong_clock_do_no_harm(
    own_channel: Path, small: Path, fresh: Machine
) -> None:
    assert fresh.condaw(small, "create").returncode == 0
    for year, seconds in ((1970, 0), (2100, 4102444800)):
        for folder in (small, fresh.cache / "pkgs"):
            for path in (folder, *folder.rglob("*")):
                os.utime(path, (seconds, seconds), follow_symlinks=False)
        done = fresh.condaw(small, "create", "--repair")
        assert done.returncode == 0, f"{year}: {done.stderr}"
        assert fresh.condaw(small, "verify").returncode == 0, year


# -- disks and accounts -----------------------------------------------------------------------


@linux
@pytest.mark.parametrize("full", ["project", "cache"])
def test_a_full_disk_leaves_the_old_environment_and_room_heals(
    full: str, small: Path, fresh: Machine, namespace: Namespace, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = namespace.run(fresh, "mount", "-t", "tmpfs", "-o", "size=90m", "none", disk, cwd=disk)
    assert mount.returncode == 0, mount.stderr
    view = namespace.look(disk)
    if full == "project":
        shutil.copytree(small, view / "demo")
        project, machine, filler = disk / "demo", fresh, 0
    else:
        project, machine, filler = small, replace(fresh, cache=disk / "cache"), 80
    assert namespace.run(machine, *CREATE, cwd=project).returncode == 0
    before = contents(namespace.look(project))
    if full == "cache":
        shutil.rmtree(view / "cache" / "pkgs")
    (view / "filler").write_bytes(bytes(filler << 20))
    done = namespace.run(machine, *CREATE, "--repair", cwd=project)
    assert_told(done, "No space left on device", "make room on the disk")
    assert contents(namespace.look(project)) == before
    assert_tidy(namespace.look(project))
    mount = namespace.run(fresh, "mount", "-o", "remount,size=400m", disk, cwd=disk)
    assert mount.returncode == 0, mount.stderr
    done = namespace.run(machine, *CREATE, "--repair", cwd=project)
    assert done.returncode == 0, done.stderr
    assert contents(namespace.look(project)) == before
    assert_tidy(namespace.look(project), namespace.look(machine.cache))


@linux
@pytest.mark.xdist_group("engine")
def test_a_disk_that_has_no_room_for_the_engine_is_told(
    small: Path, machine: Machine, bare: Path, namespace: Namespace, tmp_path: Path
) -> None:
    pins = small / "condaw" / "engine.txt"  # the largest of them is enough
    found = re.search(r"^uv==.*(\n +--hash.*)*\n", pins.read_text(encoding="utf-8"), re.M)
    assert found
    pins.write_text(found[0], encoding="utf-8")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = namespace.run(machine, "mount", "-t", "tmpfs", "-o", "size=9m", "none", disk, cwd=disk)
    assert mount.returncode == 0, mount.stderr
    full = replace(machine, cache=disk / "cache")
    done = namespace.run(full, bare, *CREATE[1:], cwd=small)
    assert_told(done, "No space left on device", "make room on the disk")
    assert_tidy(small, namespace.look(disk / "cache"))


@linux
@pytest.mark.parametrize("part", ["project", "cache"])
def test_a_disk_that_cannot_be_written_is_told(
    part: str, small: Path, fresh: Machine, namespace: Namespace
) -> None:
    assert fresh.condaw(small, "create").returncode == 0
    (small / ".conda.lock").unlink()
    before = contents(small)
    place = small if part == "project" else fresh.cache
    for options in ("bind", "remount,bind,ro"):
        done = namespace.run(fresh, "mount", "-o", options, place, place, cwd=place)
        assert done.returncode == 0, done.stderr
    done = namespace.run(fresh, *CREATE, "--repair", cwd=small)
    assert_told(done, "Read-only file system", "run the command again")
    assert str(place) in done.stderr
    assert contents(small) == before
    # Reading needs no writing.
    done = namespace.run(fresh, sys.executable, "-m", "condaw", "verify", cwd=small)
    assert done.returncode == 0, done.stderr


@linux
@pytest.mark.parametrize("place", ["volume", "image"])
def test_an_environment_on_a_volume_or_baked_into_an_image_is_replaced(
    place: str, small: Path, fresh: Machine, namespace: Namespace, tmp_path: Path
) -> None:
    """A mount point cannot be renamed (EBUSY), nor a folder of an image's layer (EXDEV)."""

    def mount(*words: str | Path) -> None:
        done = namespace.run(fresh, "mount", *words, cwd=tmp_path)
        if done.returncode:
            pytest.skip(f"this system does not let its users mount that: {done.stderr.strip()}")

    if place == "volume":
        (small / ".conda").mkdir()
        mount("-t", "tmpfs", "none", small / ".conda")
    else:
        assert fresh.condaw(small, "create").returncode == 0
        upper = tmp_path / "upper"
        upper.mkdir()
        mount("-t", "tmpfs", "none", upper)
        for name in ("new", "work"):
            (namespace.look(upper) / name).mkdir()
        layers = f"lowerdir={small},upperdir={upper}/new,workdir={upper}/work,userxattr"
        mount("-t", "overlay", "overlay", "-o", layers, small)
    view = namespace.look(small)
    for change in ("# one\n", "# two\n"):
        with (view / "environment.yml").open("a", encoding="utf-8") as out:
            out.write(change)
        for verb in ("create", "verify", "status"):
            done = namespace.run(fresh, sys.executable, "-m", "condaw", verb, cwd=small)
            assert done.returncode == 0, f"{verb}: {done.stderr}"
        assert_tidy(view)


@linux
def test_an_account_without_a_home_is_told_to_set_one(small: Path, machine: Machine) -> None:
    unknown = ["unshare", "--user", "--map-user=4321"]
    if subprocess.run([*unknown, "true"], capture_output=True).returncode:
        pytest.skip("this machine has no user namespaces, or an old unshare")
    without = ["env", "-u", "HOME", "-u", "USERPROFILE"]
    done = machine.run(*unknown, *without, *CREATE, cwd=small)
    assert_told(done, "there is no home directory", "set HOME")
    done = machine.run(*unknown, *CREATE, cwd=small, HOME="/proc/nowhere")
    assert done.returncode == 0, done.stderr


@linux
def test_what_root_has_made_is_named_with_the_command_that_removes_it(
    small_made: Path, machine: Machine
) -> None:
    if os.geteuid() or subprocess.run(["unshare", "-r", "true"], check=False).returncode:
        pytest.skip("only root can make files of another user, and namespaces are needed")

    def give_away(path: Path, mode: int) -> None:
        """The folders alone: the files are hard links into the cache that all tests share."""
        for folder, _, _ in os.walk(path):
            os.chown(folder, 1, 1)
        path.chmod(mode)

    # In this namespace, user 1 is somebody else, and root has no rights over the files of others.
    another = ["unshare", "-r", *CREATE]
    give_away(small_made / ".conda", 0o755)
    done = machine.run(*another, "--repair", cwd=small_made)
    assert done.returncode == 0, done.stderr
    old = small_made / ".conda.part"  # where the swap has put it
    assert f"cannot be removed; remove what another user made: sudo rm -r {old}" in done.stderr
    done = machine.run(*another, "--repair", cwd=small_made)
    assert_told(done, f"{old} cannot be removed", f"sudo rm -r {old}")
    shutil.rmtree(old)
    for name in (".conda.part", ".conda"):
        if name == ".conda.part":
            (small_made / name / "conda-meta").mkdir(parents=True)
        give_away(small_made / name, 0o700)
        done = machine.run(*another, "--repair", cwd=small_made)
        assert_told(done, f"{small_made / name} cannot be read", f"sudo rm -r {small_made / name}")
        shutil.rmtree(small_made / name)
    done = machine.run(*another, cwd=small_made)
    assert done.returncode == 0, done.stderr


# -- paths ------------------------------------------------------------------------------------


PUT: dict[str, Callable[[Path, Path], object]] = {
    "a link to a folder": lambda path, mine: path.symlink_to(mine),
    "a link to nothing": lambda path, mine: path.symlink_to(mine / "nothing"),
    "a file": lambda path, mine: path.write_text("mine", encoding="utf-8"),
    "a folder": lambda path, mine: mine.rename(path),
}


def tree(folder: Path) -> list[Path]:
    """All that is in a folder, less the byte-code of condaw."""
    return sorted(path for path in folder.rglob("*") if "__pycache__" not in path.parts)


@pytest.mark.parametrize("name", [".conda", ".conda.part", ".conda.old"])
def test_what_condaw_did_not_make_stays_as_it_is(
    name: str, small: Path, machine: Machine, tmp_path: Path
) -> None:
    (small / ".conda.lock").touch()
    for what, put in PUT.items():
        mine = tmp_path / what
        (mine / "bin").mkdir(parents=True)
        (mine / "bin" / "python").write_text("precious", encoding="utf-8")
        put(small / name, mine)
        before = tree(small), tree(mine)
        done = machine.condaw(small, "create")
        assert_told(done, f"{small / name} was not made by condaw", "move it away")
        assert (tree(small), tree(mine)) == before
        (small / name).rename(tmp_path / f"{what} that stayed")


def test_the_environment_of_another_project_is_not_replaced_through_a_link(
    small: Path, shown: Path, machine: Machine
) -> None:
    (small / ".conda").symlink_to(shown / ".conda")
    done = machine.condaw(small, "create", "--repair")
    assert_told(done, "was not made by condaw")
    assert (small / ".conda").is_symlink()
    assert (shown / ".conda" / "conda-meta" / "condaw").exists()


@pytest.mark.parametrize(
    "name",
    ["mon été 日本 #1 100%41 & co; (2)", "long" * 25 + "/" + "path" * 25],
    ids=["odd letters", "200 letters"],
)
def test_a_path_of_odd_letters_or_of_many_works(
    name: str, project: Path, machine: Machine, tmp_path: Path
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    project = project.rename(tmp_path / name)
    done = machine.condaw(project, "create")
    assert done.returncode == 0, done.stderr
    done = machine.condaw(project, "verify")
    assert done.returncode == 0, done.stderr
    for script, word in (("pytest", "--version"), ("ssh-uptime", "--help")):
        done = machine.run(project / ".conda" / "bin" / script, word, cwd=project)
        assert done.returncode == 0, done.stderr
        assert machine.condaw(project, "run", "--", script, word).returncode == 0


def test_a_path_that_breaks_environments_is_refused(
    small: Path, machine: Machine, tmp_path: Path
) -> None:
    for letter in ('"', "'", "\n", "\\", ":", "$", "`"):
        small = small.rename(tmp_path / f"a{letter}b")
        assert_told(machine.condaw(small, "create"), f"holds {letter!r}", "move the project")
        assert not (small / ".conda").exists()


# -- signals ----------------------------------------------------------------------------------

SITE = f"lib/python{VERSION}/site-packages"


@dataclass(frozen=True)
class Scene:
    """A project with an environment of one lock, about to get that of another."""

    project: Path
    cache: Path
    inode: int

    def part(self, name: str) -> Path:
        return self.project / ".conda.part" / name

    def swapped(self) -> bool:
        """Whether the new environment is in its place."""
        try:
            return (self.project / ".conda").stat().st_ino != self.inode
        except FileNotFoundError:
            return True


Point = Callable[[Scene], bool]
# In the order in which they come.
POINTS: dict[str, Point] = {
    "the lock is held": lambda s: (s.project / ".conda.lock").stat().st_size > 0,
    "the folder is there": lambda s: s.part("").exists(),
    "it is marked": lambda s: s.part("conda-meta/condaw").exists(),
    "the cache is held": lambda s: (s.cache / "locks" / "packages.lock").stat().st_size > 0,
    "a package is being unpacked": lambda s: any((s.cache / "pkgs").glob(".[a-z]*-*")),
    "a package is cached": lambda s: any((s.cache / "pkgs").glob("mdurl-*")),
    "Python is cached": lambda s: any((s.cache / "pkgs").glob(f"python-*/lib/python{VERSION}")),
    "the first folder is linked": lambda s: s.part("lib").exists(),
    "the library is linked": lambda s: s.part(f"lib/python{VERSION}/os.py").exists(),
    "Python is linked": lambda s: s.part("bin/python").is_symlink(),
    "a package is recorded": lambda s: any(s.part("conda-meta").glob("*.json")),
    "Python is recorded": lambda s: any(s.part("conda-meta").glob("python-3*.json")),
    "the cache is free": lambda s: s.part("conda-meta/history").exists(),
    "a wheel is there": lambda s: s.part(f"{SITE}/textfsm/__init__.py").exists(),
    "the wheels are recorded": lambda s: any(s.part(SITE).glob("textfsm-*/RECORD")),
    "a script is there": lambda s: s.part("bin/textfsm").exists(),
    "the project is there": lambda s: any(s.part(SITE).glob("demo-*/RECORD")),
    "the stamp is there": lambda s: s.part("conda-meta/condaw").stat().st_size > 0,
    "the new one is in place": lambda s: s.swapped(),
    "the old one goes": lambda s: s.swapped() and not s.part("lib").exists(),
}
COLD = [POINTS[name] for name in POINTS if "cached" in name or "unpacked" in name]
FALLBACK = """
import sys
from condaw.environment import swap
from condaw.base import process
from condaw.commands import main
swap._exchange = lambda one, other: False
process.finish(main(["create"]))
"""


def reached(point: Point, scene: Scene) -> bool:
    try:
        return point(scene)
    except OSError:
        return False


class Stopped:
    """A project whose create is stopped at chosen points, each time on the way to other content."""

    def __init__(self, project: Path, machine: Machine) -> None:
        self.project, self.machine = project, machine
        lock = yaml.safe_load((project / "conda-lock.yml").read_text(encoding="utf-8"))
        packages = [entry for entry in lock["package"] if entry["name"] != "iniconfig"]
        self.locks = [yaml.safe_dump(lock), yaml.safe_dump({**lock, "package": packages})]
        self.contents = []
        for _ in self.locks:
            self.turn()
            assert machine.condaw(project, "create").returncode == 0
            self.contents.append(contents(project))

    def turn(self) -> None:
        """Ask for the other environment."""
        self.locks.reverse()
        (self.project / "conda-lock.yml").write_text(self.locks[0], encoding="utf-8")

    def stop(self, point: Point, number: int, command: list[str] = CREATE) -> tuple[int, str]:
        """Send the signal `number` at `point` to all processes of a create; how it ended."""
        if point in COLD:
            shutil.rmtree(self.machine.cache / "pkgs")
        inode = (self.project / ".conda").stat().st_ino
        scene = Scene(self.project, self.machine.cache, inode)
        with subprocess.Popen(
            command,
            cwd=self.project,
            env=self.machine.env,
            start_new_session=True,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            while process.poll() is None and not reached(point, scene):
                time.sleep(0.0005)  # the moment is what is on the disk
            if process.returncode is None:
                os.killpg(process.pid, number)
            _, said = process.communicate()
        return process.returncode, said

    def assert_old_or_new(self) -> None:
        assert contents(self.project) in self.contents

    def assert_healed(self) -> None:
        """The same command leads to the new environment, and leaves nothing else."""
        done = self.machine.condaw(self.project, "create")
        assert done.returncode == 0, done.stderr
        assert_tidy(self.project, self.machine.cache)
        lock = (self.project / "conda-lock.yml").read_text(encoding="utf-8")
        has_it = any("/iniconfig/" in path for path in contents(self.project))
        assert has_it == ("name: iniconfig" in lock)
        assert contents(self.project) in self.contents


@pytest.fixture
def stopped(small: Path, fresh: Machine) -> Stopped:
    return Stopped(small, fresh)


@pytest.mark.slow
@pytest.mark.parametrize("half", range(2))
def test_a_run_killed_at_any_point_leaves_old_or_new_and_the_next_heals(
    half: int, stopped: Stopped
) -> None:
    for name, at in [*POINTS.items()][half::2]:
        stopped.turn()
        code, said = stopped.stop(at, signal.SIGKILL)
        assert code in (-signal.SIGKILL, 0), f"{name}: {said}"
        stopped.assert_old_or_new()
        stopped.assert_healed()


def test_a_run_killed_while_it_swaps_in_two_steps_is_finished_by_the_next(
    stopped: Stopped,
) -> None:
    for at in (
        lambda scene: scene.swapped(),
        lambda scene: (scene.project / ".conda.old").exists(),
        lambda scene: not (scene.project / ".conda.old/lib").exists() and scene.swapped(),
    ):
        stopped.turn()
        code, said = stopped.stop(at, signal.SIGKILL, [sys.executable, "-c", FALLBACK])
        assert code in (-signal.SIGKILL, 0), said
        stopped.assert_healed()


def test_a_run_that_is_told_to_stop_cleans_up(stopped: Stopped) -> None:
    for number, name in (
        (signal.SIGINT, "a package is being unpacked"),
        (signal.SIGINT, "the library is linked"),
        (signal.SIGTERM, "the library is linked"),
        (signal.SIGTERM, "a wheel is there"),
        (signal.SIGHUP, "a package is recorded"),
    ):
        stopped.turn()
        before = contents(stopped.project)
        code, said = stopped.stop(POINTS[name], number)
        assert code == 3, f"{name}: {said}"
        assert said.splitlines()[-1] == "condaw: stopped; nothing is half done", name
        assert "Traceback" not in said
        assert contents(stopped.project) == before, name
        assert_tidy(stopped.project)
        stopped.turn()
        done = stopped.machine.condaw(stopped.project, "create")
        assert done.stderr.startswith("condaw: nothing to do"), name
    stopped.turn()
    stopped.assert_healed()
