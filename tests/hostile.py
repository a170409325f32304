"""Hypothesis strategies for hostile files: damaged ones, and sound ones with wrong things in them.

The profile `few` takes a few inputs, always the same ones. For a long run:

    HYPOTHESIS_PROFILE=long .venv/bin/python -m pytest --timeout 0 tests/test_hostile_input.py
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import yaml
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir
from machine import ROOT

set_hypothesis_home_dir(ROOT / "build" / "hypothesis")
ANYTHING = settings(suppress_health_check=list(HealthCheck))
settings.register_profile(
    "few",
    ANYTHING,
    max_examples=60,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
)
settings.register_profile("long", ANYTHING, max_examples=5_000, deadline=timedelta(seconds=60))
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "few"))

NASTY = [
    *("", " ", "\0", "\x1b[31m", "\x9b31m", "\r\n", "\u2028", "\u202e", "\ufeff", "..", "../x"),
    *("/etc/passwd", "C:\\x", "a/../../x", "~", "-x", "$HOME", "%s{0}", "9" * 5000, "1e999"),
    *("http://[", "http://a:b/", "https://me:pw@h/x", "file:///\0", "2024-01-01", "null", "yes"),
    *("<<", "x" * 3000, "\U0001f680", "é", "python", "1.0", "=", "a=b", "[", "{", "'", '"'),
]
TOKENS = [
    *(text.encode() for text in NASTY),
    *(b"\xff", b"\xed\xa0\x80", b"&a ", b"*a", b"!!python/object:os.system ", b"!!binary x"),
    *(b"? ", b": ", b"- " * 50, b"[" * 50, b"{" * 50, b"\n---\n", b"%YAML 9\n", b"\t", b"#"),
    *(b"[tool]\n", b"a.b.c = 1\n", b'"""', b"'''", b"0x", b"1979-05-27T07:32:00Z", b'{"a":'),
]
TEXTS = st.one_of(
    st.sampled_from(NASTY),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.text(st.sampled_from("ab01.-_/\\:@[]{}<>=*&!|\n\r\t\0 "), max_size=12),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([0, -1, 1 << 64, 10**4000, float("nan"), float("inf")]),
    TEXTS,
    st.dates(),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def damaged(draw: st.DrawFn, *good: bytes) -> bytes:
    """One of `good` with some of it cut, doubled, or replaced."""
    data = draw(st.sampled_from(good))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.sampled_from([0, 0, 1, 4, 30, 1000])))
        put = draw(st.sampled_from([*TOKENS, data[start:end] * 2]) | st.binary(max_size=4))
        data = data[:start] + put + data[end:]
    return data


@st.composite
def altered(draw: st.DrawFn, good: Any) -> Any:
    """The tree `good` with one part of it, at any depth, replaced, renamed or left out."""
    if not isinstance(good, (dict, list)) or not good or draw(st.integers(0, 4)) == 0:
        return draw(VALUES)
    keys = list(good) if isinstance(good, dict) else list(range(len(good)))
    key = draw(st.sampled_from(keys))
    copy = good.copy()
    match draw(st.sampled_from(["below", "below", "below", "drop", "rename"])):
        case "drop":
            del copy[key]
        case "rename" if isinstance(copy, dict):
            copy[draw(SCALARS.filter(lambda k: k == k))] = copy.pop(key)
        case _:
            copy[key] = draw(altered(good[key]))
    return copy


def as_json(tree: Any) -> bytes:
    return json.dumps(tree, default=str, skipkeys=True).encode()


def as_yaml(tree: Any) -> bytes:
    return yaml.safe_dump(tree, allow_unicode=True).encode()


def files(tree: Any, write: Callable[[Any], bytes]) -> st.SearchStrategy[bytes]:
    """Both kinds of hostile files of the content `tree`."""
    return damaged(write(tree)) | altered(tree).map(write)


def one_of(good: dict[str, st.SearchStrategy[bytes]]) -> st.SearchStrategy[tuple[str, bytes]]:
    """A name of `good`, and a hostile file for it."""
    return st.one_of(*(st.tuples(st.just(name), made) for name, made in good.items()))
