"""What the sample does differently on Windows."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace

import pytest
import sample.cli as cli


@pytest.mark.parametrize(("system", "asks"), [("nt", False), ("posix", True)])
def test_nul_is_no_keyboard_although_windows_calls_it_a_terminal(
    system: str, asks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open("/dev/null", "rb", buffering=0) as null:  # noqa: PTH123
        stream = SimpleNamespace(isatty=lambda: True, buffer=io.BufferedReader(null))
        monkeypatch.setattr(sys, "stdin", stream)
        monkeypatch.setattr(cli, "os", SimpleNamespace(name=system))
        assert cli._at_keyboard() is asks
