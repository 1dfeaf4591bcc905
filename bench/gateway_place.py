"""What the gateway's benchmarks stand on: a hub, a gateway and a scripted provider, each a process of its own."""

from __future__ import annotations

import itertools
import json
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from subprocess import DEVNULL, PIPE, Popen
from typing import Any

import psutil

from bench.hub_process import HubProcess, hub_process
from bench.listening import START_SECONDS, end, listening

COMMANDS = itertools.count(1)
UNLIMITED = {f"OPSCONSOLE_LIMITS_{name}": "unlimited" for name in ("COST_USD", "TURNS", "TOKENS")}
"""A run under load is not to be stopped by the caps of the default policy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayPlace:
    """Three processes that listen."""

    hub: HubProcess
    upstream: str
    """The scripted provider's address."""
    url: str
    """The gateway's."""
    process: Popen[bytes]

    def base(self, run: str, provider: str = "openai") -> str:
        """A base URL, as an agent is given it."""
        return f"{self.url}/r/{run}/bench/{provider}" + ("/v1" if provider == "openai" else "")

    def chat(self, run: str) -> str:
        """Where a run's chat completions are asked for."""
        return self.base(run) + "/chat/completions"

    def get(self, path: str) -> dict[str, Any]:
        """A page of the hub."""
        return self._hub("GET", path)

    def command(self, do: str, **more: Any) -> dict[str, Any]:
        """An operator's act; the hub's answer."""
        return self._hub("POST", "/v1/commands", {"cmd": f"cmd_bench{next(COMMANDS)}", "do": do, **more})

    def _hub(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        request = urllib.request.Request(self.hub.url + path, method=method)
        request.add_header("Authorization", f"Bearer {self.hub.token('operator')}")
        request.add_header("Content-Type", "application/json")
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(request, data, timeout=START_SECONDS) as answer:
            return dict(json.load(answer))


@contextmanager
def gateway_place(
    *upstream: str, settings: Mapping[str, str] | None = None, asked: str | None = None
) -> Iterator[GatewayPlace]:
    """All three on free ports of loopback; `upstream` are the provider's options, `settings` variables of the others.

    With `asked`, an address, that is the provider, and none is started.
    """
    variables = UNLIMITED | dict(settings or {})
    with hub_process(settings=variables) as hub, _provider(upstream, asked) as provider:
        urls = ("--hub", hub.url, "--openai-url", f"{provider}/v1", "--anthropic-url", provider)
        with listening("gateway", hub.data_dir, *urls, settings=variables) as (process, url):
            yield GatewayPlace(hub=hub, upstream=provider, url=url, process=process)


@contextmanager
def _provider(options: Sequence[str], asked: str | None) -> Iterator[str]:
    if asked is not None:
        yield asked
        return
    with provider_process(*options) as url:
        yield url


@contextmanager
def provider_process(*options: str) -> Iterator[str]:
    """The scripted provider with these options; its address."""
    process = Popen([sys.executable, "-m", "tests.support.model_upstream", *options], stdin=DEVNULL, stdout=PIPE)
    try:
        assert process.stdout is not None
        yield str(json.loads(process.stdout.readline())["url"])
    finally:
        end(process)


def cpu_seconds(*pids: int) -> float:
    """What these processes have used of the processors so far."""
    times = [psutil.Process(pid).cpu_times() for pid in pids]
    return sum(one.user + one.system for one in times)
