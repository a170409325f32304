"""The documentation: its commands do what it shows, and its tables hold what the code has."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import organisation
import pytest
from condaw.environment.findings import Kind
from machine import ROOT
from transcripts import DOCS, Difference, differences, groups, matches, rewritten, steps

CONDAW = ROOT / "{{cookiecutter.project}}" / "condaw"
READMES = [ROOT / "README.md", ROOT / "{{cookiecutter.project}}" / "README.md"]
EXTERNAL = re.compile(r"(?:src|href|url)\s*[=(]\s*[\"']?https?://")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("pages", groups(), ids=lambda pages: pages[0].stem)
def test_each_command_of_a_page_prints_what_the_page_shows(pages: list[Path]) -> None:
    found = differences(pages)
    assert not found, "\n\n".join(map(str, found))


def test_a_transcript_may_differ_in_numbers_and_elided_parts_and_in_nothing_else() -> None:
    wanted = "condaw: installing 46 conda packages\n...\ncreated and verified /home/ada\n"
    printed = "condaw: installing 20 conda packages\n+ bcrypt 5.0.0\ncreated and verified /home/ada"
    assert matches(wanted, printed)
    assert not matches(wanted, printed.replace("verified", "broke"))
    assert not matches(wanted, f"{printed}\none line more")
    assert not matches("", "something")


def test_what_a_page_shows_can_be_replaced_by_what_was_printed() -> None:
    text = "A\n\n```console\n$ one\nold\n$ two\n```\n\n<!-- exit 3 -->\n```console\n$ three\n```\n"
    one, two, three = steps(text)
    assert [step.code for step in (one, two, three)] == [0, 0, 3]
    found = [Difference(Path("page"), step, "new", 0) for step in (one, two)]
    assert rewritten(text, found) == text.replace("old", "new").replace("two\n", "two\nnew\n")


def test_the_page_of_benchmarks_is_what_the_measured_figures_give() -> None:
    """`build/bench/bin/python benchmarks/report.py` writes it."""
    report = runpy.run_path(str(ROOT / "benchmarks" / "report.py"))
    assert report["PAGE"].read_text(encoding="utf-8") == report["page"](report["Results"]())


def parser_words(*words: str) -> set[str]:
    """The long options that a program's help names."""
    done = subprocess.run(
        [sys.executable, *words, "--help"],
        cwd=ROOT / "{{cookiecutter.project}}",
        capture_output=True,
        text=True,
        check=True,
    )
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", done.stdout)) - {"--help"}


def test_the_reference_names_each_command_of_condaw_with_each_of_its_options() -> None:
    page = (DOCS / "reference" / "condaw.md").read_text(encoding="utf-8")
    usage = subprocess.run(
        [sys.executable, "-m", "condaw", "--help"],
        cwd=CONDAW.parent,
        capture_output=True,
        text=True,
    ).stdout
    verbs = re.findall(r"^    ([a-z]+) ", usage, re.MULTILINE)
    assert {"create", "verify", "lock", "run"} <= set(verbs)
    headings = set(re.findall(r"[\w-]+", " ".join(re.findall(r"^## (.*)", page, re.MULTILINE))))
    assert set(verbs) <= headings
    for verb in verbs:
        options = parser_words("-m", "condaw", verb)
        assert not {option for option in options if option not in page}, verb


def test_the_reference_lists_each_kind_of_finding_that_the_code_has() -> None:
    page = (DOCS / "reference" / "condaw.md").read_text(encoding="utf-8")
    assert not {kind.value for kind in Kind if f"`{kind.value}`" not in page}


def test_the_questions_page_has_each_question_with_its_default_and_each_choice() -> None:
    page = (DOCS / "reference" / "questions.md").read_text(encoding="utf-8")
    questions = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
    for name, default in questions.items():
        if not name.startswith("_"):
            row = re.search(rf"^\| `{name}` \|.*", page, re.MULTILINE)
            assert row, name
            for choice in default if isinstance(default, list) else []:
                assert choice in row[0] or f"- `{choice}`:" in page, f"{name}: {choice}"


def test_the_reference_of_the_sample_lists_each_flag() -> None:
    page = (DOCS / "reference" / "ssh-uptime.md").read_text(encoding="utf-8")
    source = (
        ROOT / "{{cookiecutter.project}}" / "src" / "{{cookiecutter.package}}" / "__main__.py"
    ).read_text(encoding="utf-8")
    flags = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", source))
    assert len(flags) > 12
    assert not {flag for flag in flags if f"`{flag}" not in page}


@pytest.mark.parametrize("page", [*DOCS.rglob("*.md"), *READMES], ids=lambda page: page.stem)
def test_each_relative_link_leads_to_a_file(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"!?\[[^\]]*\]\(([^)#\s]+)[^)]*\)", text)
    relative = [target for target in targets if "://" not in target and "{{" not in target]
    assert not [target for target in relative if not (page.parent / target).exists()]


def test_each_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    names = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    assert not {name for name in names if name not in navigation}


@pytest.mark.parametrize(
    "picture", sorted((DOCS / "pictures").glob("*.svg")), ids=lambda picture: picture.stem
)
def test_a_picture_can_be_read_aloud_and_fetches_nothing(picture: Path) -> None:
    text = picture.read_text(encoding="utf-8")
    assert re.search(r"<title[^>]*>[^<]{10,}</title>", text)
    assert re.search(r"<desc[^>]*>[^<]{20,}</desc>", text)
    assert not EXTERNAL.search(text)
    assert "/tmp/" not in text and str(ROOT) not in text


def test_the_tables_of_the_page_on_scale_are_computed_from_the_figures_beside_it() -> None:
    figures = json.loads(organisation.FIGURES.read_text(encoding="utf-8"))
    text = organisation.PAGE.read_text(encoding="utf-8")
    assert organisation.page(text, figures) == text
    assert organisation.page(text, {**figures, "runs_a_day": 2_000_000}) != text


def test_runs_that_chance_spreads_over_many_runners_mostly_meet_new_ones() -> None:
    assert organisation.first_visits(1, 1_000_000) == pytest.approx(1, abs=1e-3)
    assert organisation.first_visits(1_000_000, 100) == pytest.approx(100 / 1_000_000)
    assert organisation.first_visits(700, 5000) == pytest.approx(0.93, abs=0.01)
