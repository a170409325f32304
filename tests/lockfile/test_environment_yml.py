"""Mistakes in the file that people edit: each is named with its line, and what belongs there."""

from __future__ import annotations

from pathlib import Path

import pytest
from condaw.base.errors import CannotError
from condaw.base.project import Project
from condaw.lockfile import environment_yml

HEAD = "name: demo\nchannels: [conda-forge]\ndependencies:\n"
CONDA = "expected a conda package, such as rich==15.0.0"
PYPI = "expected a name with versions, such as netmiko==4.8.0"
MISTAKES = {
    "a list item in another column": (
        "    - python\n  - rich\n",
        "environment.yml, line 5: found `- rich`, which is not YAML: it is not in the column of its"
        " neighbours",
    ),
    "a list item that continues the one before": (
        "  - python\n   - rich\n",
        f"environment.yml, line 4: found `python - rich`, {CONDA}, in the column of its neighbours",
    ),
    "a list item that continues one with a version": (
        "  - python==3.13.1\n   - rich==15.0.0\n",
        f"environment.yml, line 4: found `python==3.13.1 - rich==15.0.0`, {CONDA}, in the column of"
        " its neighbours",
    ),
    "an empty item": (
        "  - python\n  -\n  - rich\n",
        f"environment.yml, line 5: found nothing, {CONDA}",
    ),
    "a number": ("  - 3.13\n", f"environment.yml, line 4: found `3.13`, {CONDA}"),
    "a spec that is none": ("  - app=!=1\n", f"environment.yml, line 4: found `app=!=1`, {CONDA}"),
    "a list in the list": ("  - [a]\n", f"environment.yml, line 4: found a list, {CONDA}"),
    "the same twice": (
        "  - python\n  - python >=3.13\n",
        "environment.yml, line 5: found `python >=3.13`, expected each package only once",
    ),
    "another installer": (
        "  - npm: [left-pad]\n",
        "environment.yml, line 4: found `npm`, expected `pip`",
    ),
    "one = for PyPI": (
        "  - pip:\n    - netmiko=4.8.0\n",
        f"environment.yml, line 5: found `netmiko=4.8.0`, {PYPI}",
    ),
    "an empty item for PyPI": ("  - pip: [~]\n", f"line 4: found `~`, {PYPI}"),
    "PyPI without a list": (
        "  - pip: netmiko\n",
        "line 4: found `netmiko`, expected a list, such as pip: [netmiko]",
    ),
    "a file of requirements": (
        "  - pip:\n    - -r requirements.txt\n",
        f"environment.yml, line 5: found `-r requirements.txt`, {PYPI}",
    ),
    "a folder": ("  - pip: [./local]\n", f"line 4: found `./local`, {PYPI}"),
    "a link to the project": ("  - pip: [-e .]\n", f"line 4: found `-e .`, {PYPI}"),
    "a repository": (
        "  - pip: ['git+https://git.example/a']\n",
        f"line 4: found `git+https://git.example/a`, {PYPI}",
    ),
    "a repository by name": (
        "  - pip:\n    - a @ git+https://git.example/a\n",
        f"line 5: found `a @ git+https://git.example/a`, {PYPI}",
    ),
}


def project(folder: Path, text: str) -> Project:
    (folder / "environment.yml").write_text(text, encoding="utf-8")
    return Project(folder)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_with_its_line_and_what_belongs_there(
    mistake: str, tmp_path: Path
) -> None:
    text, said = MISTAKES[mistake]
    with pytest.raises(CannotError) as caught:
        environment_yml.entries(project(tmp_path, HEAD + text))
    assert said in caught.value.cause
    assert caught.value.next_step == "correct it, or restore it from version control"


def test_a_missing_list_is_named_with_the_keys_that_are_there(tmp_path: Path) -> None:
    text = HEAD.replace("dependencies", "dependency") + "- python\n"
    with pytest.raises(CannotError) as caught:
        environment_yml.entries(project(tmp_path, text))
    assert caught.value.cause == (
        "environment.yml has no list of dependencies, only name, channels, dependency"
    )


def test_a_channel_in_another_column_is_named_with_its_line(tmp_path: Path) -> None:
    text = "channels:\n  - defaults\n   - conda-forge\n"
    with pytest.raises(CannotError) as caught:
        environment_yml.channel_urls(project(tmp_path, text))
    assert caught.value.cause == (
        "environment.yml, line 2: found `defaults - conda-forge`, expected a channel, such as"
        " conda-forge, in the column of its neighbours"
    )


def test_what_can_be_locked_is_read_with_its_place(tmp_path: Path) -> None:
    text = HEAD + (
        "  - conda-forge::Python=3.13\n  - 'rich >=14' # Größe\n  - pywin32 # [win]\n  - pip:\n"
        '    - Net_Miko[a] ==4.8.0; python_version > "3"\n    - a==1 --hash=sha256:00\n'
        f"    - b @ https://files.example/b-1-py3-none-any.whl#sha256={'0' * 64}\n  - pip:\n"
    )
    found = environment_yml.entries(project(tmp_path, text))
    assert [(e.manager, e.name, e.selector) for e in found] == [
        ("conda", "python", ""),
        ("conda", "rich", ""),
        ("conda", "pywin32", "win"),
        ("pip", "net-miko", ""),
        ("pip", "a", ""),
        ("pip", "b", ""),
    ]
    assert [text[e.start : e.end].strip("'") for e in found] == [e.spec for e in found]


@pytest.mark.parametrize(
    ("text", "found"),
    [("[a]", "a list"), ("{a: [b]}", "a list"), ("{a=b: c}", "`c`"), ('{a: "b\\0"}', "`b\0`")],
)
def test_variables_that_are_no_texts_are_named(text: str, found: str, tmp_path: Path) -> None:
    (tmp_path / "environment.yml").write_text(f"variables: {text}\n", encoding="utf-8")
    with pytest.raises(CannotError) as error:
        environment_yml.variables(Project(tmp_path))
    assert f"environment.yml, line 1: found {found}, expected " in error.value.cause
