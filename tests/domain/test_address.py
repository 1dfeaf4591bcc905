"""What counts as this machine: no token crosses a network to it, and no proxy is asked for it."""

import pytest

from opsconsole.domain.address import is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "::1%lo", "localhost", "LOCALHOST"])
def test_loopback_is_known_by_its_names(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        *(None, "", "0.0.0.0", "::", "10.0.0.1"),
        *("127.example", "127.0.0.1%.example.org", "127.0.0.1%lo", "example.org", "localhost.example.org"),
    ],
)
def test_everything_else_may_be_elsewhere(host: str | None) -> None:
    assert not is_loopback(host)
