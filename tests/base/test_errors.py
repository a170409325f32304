"""No secret in what is printed."""

from __future__ import annotations

import pytest
from condaw.base.errors import redacted, without_user

TEXTS = {
    "https://h/simple answers": "https://h/simple answers",
    "https://ada:pw@h:8080/simple": "https://h:8080/simple",
    "https://token@h/simple": "https://h/simple",
    "https through http://127.0.0.1:1, http through http://u:p@h": (
        "https through http://127.0.0.1:1, http through http://h"
    ),
    "http://u:p@ss/w@h/a or http://v:q@w/": "http://***** or http://w/",
    "'http://u:p w@h'": "'http://*****",
    "no authority: 'u:pw@h:3128'": "no authority: '*****",
    "HTTPS_PROXY=u:pw@h": "HTTPS_PROXY=*****",
    "pkg:pypi/paramiko@4.0.0": "pkg:pypi/paramiko@4.0.0",
    "see https://h:8080 and write to ada@example.com": (
        "see https://h:8080 and write to ada@example.com"
    ),
    "netmiko @ https://h/netmiko.whl": "netmiko @ https://h/netmiko.whl",
    "git@h:group/name": "git@h:group/name",
    "https://h/t/to-ken/conda-forge": "https://h/t/*****/conda-forge",
    "(https://h/a.conda?sig=x%2Fy&e=1)": "(https://h/a.conda?*****)",
    "with url: /simple/x/?api_key=s3cret (Caused by": "with url: /simple/x/?***** (Caused by",
    "is it there? a=b": "is it there? a=b",
}


@pytest.mark.parametrize("text", TEXTS)
def test_a_secret_is_left_out_and_the_rest_stays(text: str) -> None:
    assert redacted(text) == TEXTS[text]
    assert redacted(TEXTS[text]) == TEXTS[text]


@pytest.mark.parametrize("user", ["", "u@", "u:p@", "u:p@s/s w://d@", ":@"])
@pytest.mark.parametrize("scheme", ["", "http://", "socks5h://"])
def test_a_proxy_is_shown_without_its_user(scheme: str, user: str) -> None:
    assert without_user(f"{scheme}{user}h:3128") == f"{scheme}h:3128"
