"""What `run` tells a command about the gateway: base URLs, run tokens, and why not; it starts no gateway."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from opsconsole.cli.gateway_ask import Asked
from opsconsole.gateway.gateway_file import GatewayFile, read_gateway_file
from opsconsole.gateway.providers import PROVIDERS, Provider
from opsconsole.gateway.run_tokens import SECRET_FILE, run_token
from opsconsole.sdk.settings import hub_name

LABEL = "gateway"
GATEWAY_VARIABLE = "OPSCONSOLE_GATEWAY"


@dataclass(frozen=True, slots=True, kw_only=True)
class ThroughGateway:
    """How a command reaches its models."""

    environment: Mapping[str, str]
    bypassed: tuple[str, ...]
    """Providers whose base URL the user has pointed elsewhere, which no setting of the gateway names: left alone."""
    trouble: str = ""
    """Why a gateway that a setting names has given no run token; model calls go to it all the same."""


def through_gateway(
    environ: Mapping[str, str], *, data_dir: Path, hub: str, run: str, agent: str
) -> ThroughGateway | None:
    """The variables that lead a run's model calls through the running gateway of its hub; None where there is none."""
    found = read_gateway_file(data_dir)
    if found is None or found.hub != hub_name(hub):
        return None
    return _through(environ, found, run=run, agent=agent, token=_token(data_dir, run) if found.held else "")


def through_named(environ: Mapping[str, str], asked: Asked, *, run: str, agent: str) -> ThroughGateway:
    """The same for a gateway that a setting names, by what it said; where it said nothing, calls end at its door."""
    found = _through(environ, asked.place, run=run, agent=agent, token=asked.token)
    environment = {**found.environment, GATEWAY_VARIABLE: asked.place.url}
    return ThroughGateway(environment=environment, bypassed=found.bypassed, trouble=asked.trouble)


def _through(environ: Mapping[str, str], found: GatewayFile, *, run: str, agent: str, token: str) -> ThroughGateway:
    ours: dict[str, str] = {}
    bypassed: list[str] = []
    for provider in PROVIDERS.values():
        if _is_elsewhere(environ, provider, found):
            bypassed.append(provider.name)
            continue
        url = f"{found.url}/r/{quote(run, safe='')}/{quote(agent, safe='')}/{provider.name}{provider.base_path}"
        ours |= dict.fromkeys(provider.url_variables, url)
        if provider.name in found.held and token:
            ours |= {"OPSCONSOLE_RUN_TOKEN": token, provider.key_variable: token}
    return ThroughGateway(environment=ours, bypassed=tuple(bypassed))


def described(through: ThroughGateway | None) -> str:
    """What was set, on one line, without any secret."""
    if through is None:
        return (
            "no gateway of this hub runs: model calls go where they went, and are neither counted nor held "
            f"({GATEWAY_VARIABLE} names one elsewhere)"
        )
    set_here = ", ".join(name for name in through.environment if name.endswith(("_URL", "_BASE"))) or "nothing"
    keys = ", ".join(name for name in through.environment if name.endswith(("_KEY", "_TOKEN")))
    parts = [f"model calls go through the gateway ({set_here})"]
    parts += [f"a run token stands in for the key ({keys})"] if keys else []
    parts += [f"left alone, because it points elsewhere: {', '.join(through.bypassed)}"] if through.bypassed else []
    parts += [through.trouble] if through.trouble else []
    return "; ".join(parts)


def _is_elsewhere(environ: Mapping[str, str], provider: Provider, found: GatewayFile) -> bool:
    """Whether the user named another place than the gateway asks. Where the gateway's is set on purpose, it wins."""
    named = {environ[name].rstrip("/") for name in provider.url_variables if environ.get(name)}
    return provider.name not in found.configured and bool(named - {found.upstreams.get(provider.name), provider.base})


def _token(data_dir: Path, run: str) -> str:
    """The run's token; empty where the secret cannot be read."""
    try:
        secret = bytes.fromhex((data_dir / SECRET_FILE).read_text().strip())
    except (OSError, ValueError):
        return ""
    return run_token(secret, run)
