"""`web`: the console in a browser, behind the accounts of the hub; pages and sessions are opsconsole.console.web's."""

from __future__ import annotations

import ssl
from pathlib import Path

import click

from opsconsole.cli import output
from opsconsole.cli.options import shared_options
from opsconsole.config import Settings
from opsconsole.domain.address import is_loopback
from opsconsole.errors import CannotStart

PORT = 8789
"""Beside the hub's and the gateway's own, so that all three can be on one machine as they come."""
_KEY = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--host", default="127.0.0.1", help="The address to listen at [this machine only].")
@click.option("--port", default=PORT, type=click.IntRange(1, 65_535), help=f"The port [{PORT}].")
@click.option("--tls-cert", type=_KEY, help="A certificate, PEM; needs --tls-key.")
@click.option("--tls-key", type=_KEY, help="Its key, PEM.")
@click.option("--insecure", is_flag=True, help="Allow another address without TLS: a proxy in front does it.")
@shared_options
def web(settings: Settings, host: str, port: int, tls_cert: Path | None, tls_key: Path | None, insecure: bool) -> None:
    """Open the console in a browser, behind a token of the hub."""
    if (tls_cert is None) != (tls_key is None):
        raise click.UsageError("--tls-cert and --tls-key belong together")
    if not is_loopback(host) and tls_cert is None and not insecure:
        raise click.UsageError(
            f"{host} is reached by others, and a token must not travel in the clear: give --tls-cert and --tls-key, "
            "or --insecure where a proxy on this machine does TLS"
        )
    from opsconsole.console.web import ConsoleServer  # only here: what serves pages is no part of any other start

    server = ConsoleServer(
        hub=settings.hub,
        environment=_environment(settings),
        host=host,
        port=port,
        tls=_tls(tls_cert, tls_key),
        is_behind_proxy=insecure,
    )
    try:
        server.run(lambda: output.note(f"the console of {settings.hub} is at {server.url}; Ctrl-C ends it"))
    except OSError as error:
        raise CannotStart(f"cannot listen at {server.url}: {error.strerror or error}") from None


def _environment(settings: Settings) -> dict[str, str]:
    made = {"OPSCONSOLE_HUB": settings.hub, "OPSCONSOLE_DATA_DIR": str(settings.data_dir)}
    outer = click.get_current_context().find_object(dict) or {}
    return made | ({"OPSCONSOLE_CONFIG": outer["config"]} if outer.get("config") else {})


def _tls(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise CannotStart(f"{certificate} and its key cannot be used: {error}") from None
    return context
