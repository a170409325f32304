"""environment.yml: the channels and the direct dependencies that it asks for (CEP 24)."""

import contextlib
import re
from collections.abc import Iterator
from typing import NamedTuple

import yaml
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from rattler import Channel, MatchSpec
from rattler.exceptions import InvalidMatchSpecError

from condaw.base.errors import CannotError
from condaw.base.project import Project
from condaw.lockfile.rules import CONDA_NAME, url_faults

SELECTOR = re.compile(r"#.*\[([^\[\]]+)\]")  # of a line for some platforms, such as `# [win]`
WHEEL = re.compile(r"https://\S+\.whl#sha256=\S+")
EXPECTED = {
    "conda": "a conda package, such as rich==15.0.0",
    "pip": "a name with versions, such as netmiko==4.8.0",
}
NEXT = "correct it, or restore it from version control"


class Entry(NamedTuple):
    """A direct dependency, and where it is in environment.yml."""

    manager: str  # `conda` or `pip`
    name: str  # in lower case; of PyPI, as PyPI normalises it
    spec: str
    selector: str  # `win` of a line that is for some platforms only; else empty
    start: int  # of its text, in characters
    end: int


def channel_urls(project: Project) -> list[str]:
    """Return the channels' URLs, without a slash at the end, if a lock may be made from all."""
    _, nodes = read(project)
    listed = items(nodes, "channels", "[conda-forge]")
    next_step = "name another channel; passwords belong in netrc or rattler's own store"
    for node in listed:
        if not isinstance(node, yaml.ScalarNode) or re.search(r"\s", node.value):
            raise _unexpected(node, "a channel, such as conda-forge")
        for fault in url_faults(node.value):
            raise CannotError(f"the channel {node.value} in environment.yml {fault}", next_step)
    named = [Channel(node.value) for node in listed if node.value != "nodefaults"]
    return [str(channel.base_url).rstrip("/") for channel in named]


def made_for(project: Project) -> tuple[list[str], list[str]]:
    """Return the channels and the platforms as they are written; platforms may be missing."""
    _, nodes = read(project)
    channels = [str(node.value) for node in items(nodes, "channels", "[conda-forge]")]
    platforms = items({"platforms": yaml.SequenceNode("", []), **nodes}, "platforms", "[linux-64]")
    return [n for n in channels if n != "nodefaults"], [str(node.value) for node in platforms]


def entries(project: Project) -> list[Entry]:
    """Return the direct dependencies. Raises CannotError for the first that cannot be locked."""
    text, nodes = read(project)
    found: list[Entry] = []
    for manager, node in _dependencies(items(nodes, "dependencies", "[python=3.13]")):
        line = text[text.rfind("\n", 0, node.start_mark.index) + 1 :].partition("\n")[0]
        name, selected = _name(manager, node), SELECTOR.search(line)
        selector = selected[1] if selected else ""
        if not selector and (manager, name, "") in {(e.manager, e.name, e.selector) for e in found}:
            raise _unexpected(node, "each package only once")
        found.append(Entry(manager, name, node.value, selector, *span(node)))
    return found


def is_for(entry: Entry, platform: str) -> bool:
    """Return whether a line is for `platform`: by its selector, one of those of conda-lock."""
    system, _, machine = platform.partition("-")
    family = "win" if system == "win" else "unix"
    return entry.selector in ("", system, family, f"{system}64" if machine == "64" else machine)


def variables(project: Project) -> dict[str, str]:
    """Return the variables of the environment, each value as it is written (CEP 24). Raises
    CannotError if they are anything else."""
    node = read(project)[1].get("variables")
    if node is None or not node.value:
        return {}
    if not isinstance(node, yaml.MappingNode):
        raise _unexpected(node, "names with values, such as variables: {TZ: UTC}")
    for name, value in node.value:
        is_text = isinstance(value, yaml.ScalarNode)
        if not is_text or "\0" in value.value or {*"=\0"} & {*name.value}:
            raise _unexpected(value, "a name of a variable, and text")
    return {name.value: value.value for name, value in node.value}


def span(node: yaml.Node) -> tuple[int, int]:
    """Return where the text of a node begins and ends, in characters."""
    return node.start_mark.index, node.end_mark.index


def match_spec(spec: str) -> MatchSpec:
    """Return what a conda dependency asks for, whatever its channel."""
    return MatchSpec(spec.rpartition("::")[2])


def _dependencies(nodes: list[yaml.Node]) -> Iterator[tuple[str, yaml.Node]]:
    """Yield each dependency's node, and its manager."""
    for node in nodes:
        if not isinstance(node, yaml.MappingNode):
            yield "conda", node
            continue
        for key, value in node.value:
            if key.value != "pip":
                raise _unexpected(key, "`pip`")
            if value.value:  # a list may be empty
                yield from (("pip", line) for line in items({"pip": value}, "pip", "[netmiko]"))


def _name(manager: str, node: yaml.Node) -> str:
    """Return the name of the package that a dependency asks for."""
    is_text = node.tag == "tag:yaml.org,2002:str" and node.start_mark.line == node.end_mark.line
    with contextlib.suppress(InvalidMatchSpecError, InvalidRequirement):
        if is_text and manager == "conda":
            name = str(match_spec(node.value).name.normalized)
            if CONDA_NAME.fullmatch(name):
                return name
        elif is_text:
            wanted = Requirement(node.value.partition(" --hash=")[0])
            if not wanted.url or WHEEL.fullmatch(wanted.url):
                return str(canonicalize_name(wanted.name))
    raise _unexpected(node, EXPECTED[manager])


def items(nodes: dict[str, yaml.Node], key: str, example: str) -> list[yaml.Node]:
    """Return the items of the list under `key`."""
    if key not in nodes:
        found = f", only {', '.join(nodes)}" if nodes else ""
        cause = f"environment.yml has no list of {key}{found}"
        raise CannotError(cause, f"write one, such as: {key}: {example}")
    if not isinstance(nodes[key], yaml.SequenceNode):
        raise _unexpected(nodes[key], f"a list, such as {key}: {example}")
    return list(nodes[key].value)


def _unexpected(node: yaml.Node, expected: str) -> CannotError:
    found = "a list" if isinstance(node, yaml.SequenceNode) else "a mapping"
    if isinstance(node, yaml.ScalarNode):
        found = f"`{node.value}`" if node.value else "nothing"
        if node.end_mark.line > node.start_mark.line:
            expected += ", in the column of its neighbours"
    return _at(node.start_mark, f"found {found}, expected {expected}")


def _at(mark: yaml.Mark, problem: str) -> CannotError:
    return CannotError(f"environment.yml, line {mark.line + 1}: {problem}", NEXT)


def read(project: Project) -> tuple[str, dict[str, yaml.Node]]:
    """Return the text, and the node under each key of the mapping that it is."""
    try:
        text = project.environment_yml.read_bytes().decode()
        root = yaml.compose(text, yaml.SafeLoader)
    except OSError as error:
        cause = f"environment.yml cannot be read: {error.strerror}"
        raise CannotError(cause, NEXT) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if not isinstance(error, yaml.MarkedYAMLError) or not (mark := error.problem_mark):
            raise CannotError("environment.yml cannot be read as YAML", NEXT) from None
        problem = error.problem or ""
        found = text.splitlines()[mark.line].strip() if mark.line < text.count("\n") else "the end"
        if "<block end>" in problem:
            problem = "it is not in the column of its neighbours"
        raise _at(mark, f"found `{found}`, which is not YAML: {problem}") from None
    if not isinstance(root, yaml.MappingNode):
        raise CannotError("environment.yml is not a mapping", NEXT)
    return text, {str(key.value): value for key, value in root.value}
