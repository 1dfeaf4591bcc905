"""The worker of the client tests itself: agents that begin at once do not end one another."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.gateway.clients.stage import PROGRAMS

BEGIN_BOTH = """
import importlib.machinery, importlib.util, sys, threading, time
import worker
worker.import_one_at_a_time()
folder, errors = sys.argv[1], []
sys.path.insert(0, folder)

class Slow(importlib.machinery.SourceFileLoader):
    def create_module(self, spec):
        time.sleep(0.2)  # meanwhile the other thread begins its part, if it may

class Finder:
    def find_spec(self, name, path, target=None):
        if name == "client":
            file = folder + "/client/__init__.py"
            return importlib.util.spec_from_file_location(name, file, loader=Slow(name, file))

def begin(part):
    try:
        importlib.import_module(part)
    except BaseException as error:
        errors.append(type(error).__name__)

sys.meta_path.insert(0, Finder())
both = [threading.Thread(target=begin, args=(part,)) for part in ("client.chat", "client.responses")]
[each.start() for each in both]
[each.join() for each in both]
print(errors)
"""


def test_two_agents_may_begin_different_parts_of_one_client_at_once(tmp_path: Path) -> None:
    (tmp_path / "client").mkdir()
    for name, text in {"__init__": "import client.chat, client.responses", "chat": "", "responses": ""}.items():
        (tmp_path / "client" / f"{name}.py").write_text(text)
    run = subprocess.run(
        [sys.executable, "-c", BEGIN_BOTH, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(PROGRAMS)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert run.stdout == "[]\n"
