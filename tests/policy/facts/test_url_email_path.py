"""Hosts, addresses and paths: what is plain is judged, what plays tricks is unclear."""

from __future__ import annotations

from typing import Any

import pytest

from opsconsole.policy.facts.email import EMAIL
from opsconsole.policy.facts.interface import NO_HISTORY, FactConfigError, FactMaker
from opsconsole.policy.facts.path import PATH
from opsconsole.policy.facts.url import URL

FETCH = URL({"arg": "url", "allow": ["acme.example", "api.github.com"]})
MAIL = EMAIL({"args": ["to", "cc"], "own_domains": ["acme.example"]})
READ = PATH({"arg": "path", "workspace": "/srv/job"})

ALLOWED = [
    "https://acme.example",
    "https://acme.example/",
    "HTTPS://Docs.ACME.example:8443/a/b?c=d@e#f",
    "http://a.b.acme.example?x=https://evil.test",
    "https://api.github.com/repos/acme/x",
]

OUTSIDE = [
    ("https://evil.test/", "evil.test"),
    ("https://notacme.example/", "notacme.example"),
    ("https://acme.example.evil.test/", "acme.example.evil.test"),
    ("https://github.com/", "github.com"),
    ("https://evil.test/acme.example", "evil.test"),
    ("https://evil.test?acme.example", "evil.test"),
    ("https://evil.test#.acme.example", "evil.test"),
]

UNCLEAR_URLS = [
    "https://acme.example@evil.test/",
    "https://user:pass@acme.example/",
    "https://acme.example:80@evil.test/",
    "https://evil.test\\@acme.example/",
    "https://evil.test\\.acme.example/",
    "https://127.0.0.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.1/",
    "https://017700000001/",
    "https://127.1/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://169.254.169.254.acme.example./",
    "https://acme.example./",
    "https://xn--acme-9q8b.example/",
    "https://docs.xn--80ak6aa92e.acme.example/",
    "https://аcme.example/",
    "https://acme.example\u3002evil.test/",
    "https://acme%2eexample/",
    "https://acme.example/\r\nHost: evil.test",
    "https://acme.example/a b",
    " https://acme.example/",
    "https:///acme.example/",
    "https:acme.example",
    "//acme.example/",
    "acme.example",
    "file:///etc/passwd",
    "gopher://acme.example/",
    "javascript://acme.example/%0aalert(1)",
    "https://localhost/",
    "https://-acme.example/",
    "https://acme..example/",
    "https://" + "a." * 130 + "acme.example/",
    "",
    7,
    None,
    [],
    {"href": "https://acme.example"},
    ["https://acme.example", "https://acme.example@evil.test"],
]

INSIDE_PATHS = [("a/b.txt", "/srv/job/a/b.txt"), ("/srv/job", "/srv/job"), ("./a//b", "/srv/job/a/b")]

OUTSIDE_PATHS = [
    "/etc/passwd",
    "/srv/jobs/a",
    "../job2/a",
    "a/../../x",
    "%2e%2e/x",
    "%252e%252e%252fx",
    "a/%2e%2e/%2E%2e/x",
    "%2fetc/passwd",
    "/",
]

UNCLEAR_PATHS = ["a/../b", "~/x", "$HOME/x", "a*", "a\\b", "a\0b", "a\nb", "a`id`", "bü.txt", "", " a", 7, None, [],
    "%25252525252e/x"]  # fmt: skip


def unclear(found: dict[str, Any]) -> tuple[bool, bool]:
    return found["unclear"], bool(found["why"])


@pytest.mark.parametrize("url", ALLOWED)
def test_a_listed_host_is_allowed(url: str) -> None:
    found = FETCH({"url": url}, NO_HISTORY)
    assert (found["allowed"], found["outside"], found["unclear"], found["why"]) == (True, [], False, "")


@pytest.mark.parametrize(("url", "host"), OUTSIDE)
def test_another_host_is_outside(url: str, host: str) -> None:
    assert FETCH({"url": url}, NO_HISTORY) == {
        "hosts": [host],
        "outside": [host],
        "allowed": False,
        "unclear": False,
        "why": "",
    }


@pytest.mark.parametrize("url", UNCLEAR_URLS)
def test_a_url_that_two_parsers_may_read_differently_is_unclear(url: Any) -> None:
    found = FETCH({"url": url}, NO_HISTORY)
    assert (found["allowed"], *unclear(found)) == (False, True, True)


def test_a_host_without_a_domain_is_allowed_only_by_its_name() -> None:
    fetch = URL({"arg": "url", "allow": ["registry"], "schemes": ["http"]})
    assert fetch({"url": "http://registry:5000/v2/"}, NO_HISTORY)["allowed"] is True
    assert fetch({"url": "https://registry/"}, NO_HISTORY)["unclear"] is True


def test_own_addresses_are_not_external_and_others_are() -> None:
    found = MAIL(
        {"to": ["Ana@ACME.example, x@evil.test"], "cc": "b.c+d@mail.acme.example; y@notacme.example"}, NO_HISTORY
    )
    assert found == {
        "addresses": ["ana@acme.example", "x@evil.test", "b.c+d@mail.acme.example", "y@notacme.example"],
        "external": ["x@evil.test", "y@notacme.example"],
        "unclear": False,
        "why": "",
    }


@pytest.mark.parametrize(
    "to",
    [
        "x@evil.test <ana@acme.example>",
        '"ana@acme.example" <x@evil.test>',
        '"x@evil.test,"@acme.example',
        "x%evil.test@acme.example",
        "evil.test!x@acme.example",
        "x@evil.test(@acme.example)",
        "ana@acme.example\r\nBcc: x@evil.test",
        "ana@acme.example\0",
        "ana@[127.0.0.1]",
        "ana@127.0.0.1",
        "ana@xn--acme-9q8b.example",
        "ana@аcme.example",
        "ana@acme.example.",
        "a..b@acme.example",
        "@acme.example",
        "ana@",
        "ana",
        "",
        "ana@acme.example,",
        "ana@acme.example@evil.test",
        7,
        {"address": "ana@acme.example"},
        [["ana@acme.example"]],
        ["ana@acme.example"] * 201,
        None,
        [],
    ],
)
def test_an_address_that_is_not_plain_is_unclear(to: Any) -> None:
    assert unclear(MAIL({"to": to}, NO_HISTORY)) == (True, True)


def test_copies_count_though_nobody_is_addressed() -> None:
    assert MAIL({"cc": ["x@evil.test"]}, NO_HISTORY)["external"] == ["x@evil.test"]


@pytest.mark.parametrize(("path", "opened"), INSIDE_PATHS)
def test_a_path_in_the_workspace_stays_there(path: str, opened: str) -> None:
    assert READ({"path": path}, NO_HISTORY) == {
        "paths": [opened],
        "leaves_workspace": False,
        "secrets": False,
        "unclear": False,
        "why": "",
    }


@pytest.mark.parametrize("path", OUTSIDE_PATHS)
def test_a_path_elsewhere_leaves_the_workspace_however_it_is_encoded(path: str) -> None:
    assert READ({"path": path}, NO_HISTORY)["leaves_workspace"] is True


@pytest.mark.parametrize("path", UNCLEAR_PATHS)
def test_a_path_that_is_expanded_or_not_plain_is_unclear(path: Any) -> None:
    assert unclear(READ({"path": path}, NO_HISTORY)) == (True, True)


@pytest.mark.parametrize(
    "path", [".env", "a/.env.local", ".ssh/config", "id_rsa", "tls/server.key", ".GIT-credentials"]
)
def test_a_path_to_credentials_is_told(path: str) -> None:
    assert READ({"path": path}, NO_HISTORY)["secrets"] is True


@pytest.mark.parametrize(
    ("maker", "config", "field"),
    [
        (URL, {"arg": "url"}, "allow"),
        (URL, {"allow": ["a.example"]}, "arg"),
        (URL, {"arg": "a", "args": ["b"], "allow": ["a.example"]}, "arg"),
        (URL, {"arg": "url", "allow": ["*.acme.example"]}, "allow"),
        (URL, {"arg": "url", "allow": ["https://acme.example"]}, "allow"),
        (EMAIL, {"args": [], "own_domains": ["acme.example"]}, "args"),
        (EMAIL, {"args": ["to"], "own_domains": "acme.example"}, "own_domains"),
        (EMAIL, {"args": ["to"], "own_domain": ["acme.example"]}, "own_domain"),
        (PATH, {"arg": "path", "workspace": "work"}, "workspace"),
        (PATH, {"arg": "path", "workspace": "/"}, "workspace"),
        (PATH, {"arg": 3, "workspace": "/w"}, "arg"),
    ],
)
def test_a_wrong_setting_is_named(maker: FactMaker, config: dict[str, Any], field: str) -> None:
    with pytest.raises(FactConfigError) as caught:
        maker(config)
    assert caught.value.field == field
