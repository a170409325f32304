"""YAML and JSON files as mappings that know their lines. Names are kept as they are written."""

from pathlib import Path
from typing import Any

import yaml

from .failures import UsageError

Entry = dict[str, Any]
"""Arguments of netmiko's ConnectHandler."""
Entries = dict[str, Entry]
Groups = dict[str, list[str]]
"""The members of each group: hosts, or other groups."""


class Mapping(dict[str, Any]):
    """A mapping of a file: `lines` has the line of each key, `texts` what stands there.

    A name such as 0123, on or 2024-01-01 is a name, and not a number, a boolean or a date. Only
    values that are not texts by nature (ports, switches) are read by YAML's rules.
    """

    def __init__(self, file: str) -> None:
        """Make an empty one."""
        super().__init__()
        self.file = file
        self.lines: dict[str, int] = {}
        self.texts: dict[str, str] = {}

    def error(self, key: str, expected: str) -> UsageError:
        """Return the error that names a key's line, and what was expected there."""
        return UsageError(f"{self.file}:{self.lines.get(key, 1)}: expected {expected}")


def load(path: Path) -> Mapping:
    """Read a file that is a mapping. Raises UsageError with the line, and OSError."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(path.read_text("utf-8", "replace"))
    try:
        found = _value(loader, loader.get_single_node(), str(path))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UsageError(f"{path}:{line}: expected YAML: {error.problem}") from None
    except (yaml.YAMLError, RecursionError, TypeError, ValueError) as error:
        raise UsageError(f"{path}:1: expected YAML: {error}") from None
    if not isinstance(found, Mapping) or not found:
        raise UsageError(f"{path}:1: expected hosts, as 'name:' and settings under it")
    return found


def _value(loader: Any, node: Any, file: str) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return [
            item.value if isinstance(item, yaml.ScalarNode) else _value(loader, item, file)
            for item in node.value
        ]
    if not isinstance(node, yaml.MappingNode):
        return loader.construct_object(node, deep=True) if node else None
    found = Mapping(file)
    for key, _ in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise UsageError(f"{file}:{line}: expected a name before the colon")
        if key.value in found.lines and key.value != "<<":
            first = found.lines[key.value]
            raise UsageError(f"{file}:{line}: {key.value!r} is there twice: see line {first}")
        found.lines[str(key.value)] = line
    loader.flatten_mapping(node)  # put what `<<` merges before the rest
    for key, value in node.value:
        name = str(key.value)
        found[name] = _value(loader, value, file)
        if isinstance(value, yaml.ScalarNode) and value.tag != "tag:yaml.org,2002:null":
            found.texts[name] = value.value
    return found
