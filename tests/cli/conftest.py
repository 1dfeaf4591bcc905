"""What tests of the command line share: a fake hub, and the program run against it as a person would."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from opsconsole.cli.program import program
from tests.cli.fake_hub import TOKEN, FakeHub

Run = Callable[..., Result]


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    fake = FakeHub()
    server = fake.start()
    yield fake
    server.shutdown()
    server.server_close()


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    place = tmp_path / "data"
    place.mkdir(mode=0o700)
    for name in ("operator", "admin", "agent"):
        (place / f"{name}.token").write_text(f"{TOKEN}\n")
    return place


@pytest.fixture
def bare(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The program with a data directory and nothing of this machine's own settings."""
    for name in ("HUB", "TOKEN", "RUN", "HOST", "PORT", "CONFIG"):
        monkeypatch.delenv(f"OPSCONSOLE_{name}", raising=False)
    monkeypatch.setenv("OPSCONSOLE_DATA_DIR", str(data_dir))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    def run(*args: str, stdin: str | None = None) -> Result:
        return CliRunner().invoke(program, args, input=stdin, prog_name="opsconsole")

    return run


@pytest.fixture
def cli(bare: Run, hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The program pointed at the fake hub."""
    monkeypatch.setenv("OPSCONSOLE_HUB", hub.url)
    return bare
