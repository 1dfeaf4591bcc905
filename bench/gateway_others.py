"""What the gateway is measured against: nginx, LiteLLM's proxy, and a provider that costs next to nothing."""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from string import Template
from subprocess import DEVNULL, Popen
from tempfile import TemporaryDirectory

import psutil

from bench.gateway_client import MODEL
from bench.listening import end

START_SECONDS = 60.0
LITELLM_VARIABLE = "OPSCONSOLE_BENCH_LITELLM"
"""Names the `litellm` command of an environment of its own (`pip install 'litellm[proxy]'`)."""
UNGUARDED = {"LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true"}
"""Fewer checks a request than ours: it counts in LiteLLM's favour."""
NGINX = Template("""
daemon off; worker_processes 1; pid $folder/pid; error_log $folder/error.log;
events { worker_connections 1024; }
http {
  access_log off; keepalive_requests 10000000; client_body_buffer_size 64k;
  client_body_temp_path $folder/a; proxy_temp_path $folder/b; fastcgi_temp_path $folder/c;
  uwsgi_temp_path $folder/d; scgi_temp_path $folder/e;
  $inside
}
""")
PROXY = Template("""
upstream provider { server $provider; keepalive 128; keepalive_requests 10000000; }
server { listen 127.0.0.1:$port; location / {
  proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; } }
""")
STATIC = Template("""
server { listen 127.0.0.1:$port; location / { default_type application/json; return 200 '$answer'; } }
""")
ANSWER = {
    "id": "chatcmpl-bench",
    "object": "chat.completion",
    "created": 1_790_000_000,
    "model": MODEL,
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Import 7 ran twice: both runs paid the invoice."},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 120, "completion_tokens": 12, "total_tokens": 132},
    "system_fingerprint": "fp_bench",
}
"""What the provider that costs next to nothing always says."""


class NotInstalled(Exception):
    """What is to be compared with is not on this machine; the message says how it gets there."""


@contextmanager
def nginx_proxy(provider: str) -> Iterator[tuple[str, int]]:
    """nginx before a provider, one worker; its address and its worker's pid. Raises: NotInstalled."""
    with _nginx(PROXY, provider=provider.removeprefix("http://")) as found:
        yield found


@contextmanager
def nginx_provider() -> Iterator[tuple[str, int]]:
    """A provider that has one answer, faster than any proxy before it. Raises: NotInstalled."""
    with _nginx(STATIC, answer=json.dumps(ANSWER)) as found:
        yield found


@contextmanager
def _nginx(inside: Template, **values: str) -> Iterator[tuple[str, int]]:
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise NotInstalled("nginx is not installed (Debian: apt-get install nginx-light)")
    port = _free_port()
    with TemporaryDirectory(prefix="opsconsole-bench-") as folder:
        file = Path(folder) / "nginx.conf"
        file.write_text(NGINX.substitute(folder=folder, inside=inside.substitute(port=port, **values)))
        process = Popen([program, "-c", str(file)], stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL)
        try:
            _await_port(port, process, "nginx")
            yield f"http://127.0.0.1:{port}", _worker(process)
        finally:
            end(process)


@contextmanager
def litellm_proxy(provider: str) -> Iterator[tuple[str, int]]:
    """LiteLLM's proxy before a provider, one worker; its address and pid. Raises: NotInstalled."""
    program = os.environ.get(LITELLM_VARIABLE) or shutil.which("litellm")
    if program is None:
        hint = f"in an environment of its own: pip install 'litellm[proxy]', and {LITELLM_VARIABLE}=.../bin/litellm"
        raise NotInstalled(f"LiteLLM's proxy is not installed ({hint})")
    port = _free_port()
    with TemporaryDirectory(prefix="opsconsole-bench-") as folder:
        file = Path(folder) / "litellm.yaml"
        model = {"model": f"openai/{MODEL}", "api_base": f"{provider}/v1", "api_key": "sk-bench"}
        settings = {"telemetry": False, "num_retries": 0}
        models = [{"model_name": MODEL, "litellm_params": model}]
        file.write_text(json.dumps({"model_list": models, "litellm_settings": settings}))
        command = [program, "--config", str(file), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
        environment = os.environ | {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"} | UNGUARDED
        process = Popen(command, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, env=environment, cwd=folder)
        try:
            _await_port(port, process, "LiteLLM")
            yield f"http://127.0.0.1:{port}", process.pid
        finally:
            end(process)


def _worker(process: Popen[bytes]) -> int:
    """The pid of nginx's one worker: the first process only watches it."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if workers := psutil.Process(process.pid).children():
            return int(workers[0].pid)
        time.sleep(0.01)
    raise TimeoutError("nginx started no worker")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_port(port: int, process: Popen[bytes], name: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{name} ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
            return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError(f"{name} did not come up in {START_SECONDS:g} s")
