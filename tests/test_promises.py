"""The page of promises names tests that exist."""

from __future__ import annotations

import re

from machine import ROOT


def test_each_promise_names_a_test_that_exists() -> None:
    page = (ROOT / "docs" / "explanation" / "promises.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+)`", page))
    files = set(re.findall(r"`([\w/]*test_\w+\.py)`", page))
    texts = [(ROOT / "tests" / name).read_text(encoding="utf-8") for name in files]
    defined = {name for text in texts for name in re.findall(r"^def (test_\w+)", text, re.M)}
    assert len(named) > 40
    assert named <= defined, named - defined
