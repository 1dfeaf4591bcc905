"""Real processes: agents with a data directory of their own, whose gateway and its secrets are another user's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.machine import PATIENCE_SECONDS, PROGRAM, until
from tests.gateway.test_process import AGENT, Site
from tests.support.model_script import Call, Turn, mark
from tests.support.model_upstream import running_upstream

pytestmark = pytest.mark.process

SOMEBODY = 65_534
"""The user that owns nothing."""
Begin = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A hub and its gateway, which holds OpenAI's key."""
    with running_upstream() as upstream:
        site = Site(tmp_path_factory.mktemp("hub"))
        site.upstream = upstream
        try:
            site.start(OPSCONSOLE_GATEWAY_OPENAI_KEY="sk-held")
            yield site
        finally:
            site.close()


def gateway_url(site: Site) -> str:
    return str(json.loads((site.data_dir / "gateway.json").read_text())["url"])


def folder_for(uid: int) -> Path:
    """A data directory with nothing in it that is the hub's."""
    folder = Path(tempfile.mkdtemp(prefix="opsconsole-agent-"))
    os.chown(folder, uid, -1)
    return folder


def runs_as(uid: int) -> bool:
    """Whether this user may run this interpreter, and we may run it as them."""
    try:
        asked = subprocess.run([sys.executable, "-c", "import opsconsole"], user=uid, capture_output=True, check=False)
    except OSError:
        return False
    return asked.returncode == 0


@pytest.fixture(params=["our user", "another user"])
def begin(request: pytest.FixtureRequest, site: Site) -> Iterator[Begin]:
    """Starts `opsconsole run` for an agent that has its token and the two addresses, and nothing else of the hub."""
    uid = os.getuid() if request.param == "our user" else SOMEBODY
    if not runs_as(uid):
        pytest.skip(f"user {uid} cannot run {sys.executable} here")
    folder = folder_for(uid)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPSCONSOLE_", "OPENAI_"))}
    ours = {
        "HOME": str(folder),
        "OPSCONSOLE_HUB": site.url,
        "OPSCONSOLE_GATEWAY": gateway_url(site),
        "OPSCONSOLE_DATA_DIR": str(folder),
        "OPSCONSOLE_TOKEN": (site.data_dir / "agent.token").read_text().strip(),
    }

    def started(*args: str, **environment: str) -> subprocess.Popen[str]:
        given: dict[str, Any] = {"user": uid} if uid != os.getuid() else {}
        process = subprocess.Popen(
            [*PROGRAM, "run", *args],
            env=kept | ours | environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **given,
        )
        site.started.append(process)
        return process

    yield started
    shutil.rmtree(folder, ignore_errors=True)


def ended(process: subprocess.Popen[str]) -> tuple[str, str]:
    return process.communicate(timeout=PATIENCE_SECONDS)


def test_its_turns_are_counted_and_its_calls_held_and_it_has_never_seen_a_key(site: Site, begin: Begin) -> None:
    name = f"call{len(site.started)}"
    site.upstream.script(name, Turn(calls=[Call(name="shell", args={"cmd": "ls"})]))
    process = begin("--agent", name, "--", sys.executable, "-c", AGENT, mark(name))
    [row] = until(lambda: site.get("approvals")["rows"], "an approval")
    assert site.cli("approve", row["approval"]).returncode == 0
    out, err = ended(process)
    assert (json.loads(out), err) == ({"cmd": "ls"}, "")
    run = until(lambda: (found := site.row(name)) and found["exit_code"] == 0 and found, "the end")
    assert (run["turns"], sorted(point["name"] for point in run["points"])) == (1, ["gateway", "supervisor"])


def test_its_token_is_good_for_its_own_run_alone(site: Site, begin: Begin) -> None:
    script = (
        "import os, openai\n"
        "base = os.environ['OPENAI_BASE_URL'].replace(os.environ['OPSCONSOLE_RUN'], 'run_of_another')\n"
        "try: openai.OpenAI(base_url=base, max_retries=0).models.list()\n"
        "except openai.AuthenticationError as error: print(error.code)\n"
    )
    assert ended(begin("--", sys.executable, "-c", script))[0] == "run_token\n"


def test_without_an_agent_s_token_it_is_told_and_its_model_stays_shut(begin: Begin) -> None:
    script = "import os; print(os.environ['OPENAI_BASE_URL'][:7], os.environ.get('OPENAI_API_KEY'))"
    out, err = ended(begin("--", sys.executable, "-c", script, OPSCONSOLE_TOKEN="ops_nobody"))
    assert out == "http:// None\n", err
    assert "gives no run token: 401, an agent's token of the hub is needed" in err


def test_a_gateway_that_does_not_answer_is_told_and_nothing_goes_around_it(begin: Begin) -> None:
    script = "import os; print(os.environ['OPENAI_BASE_URL'].partition('/r/')[0])"
    out, err = ended(begin("--gateway", "http://127.0.0.1:9", "--", sys.executable, "-c", script))
    assert out == "http://127.0.0.1:9\n", err
    assert "the gateway at http://127.0.0.1:9 gives no run token" in err


UNSUPERVISED = (
    "import sys, openai\n"
    "agent = openai.OpenAI(base_url=sys.argv[1] + '/openai/v1', api_key=sys.argv[2], max_retries=0)\n"
    "said = [{'role': 'user', 'content': 'hi'}]\n"
    "try: print(agent.chat.completions.create(model='gpt-4o-mini', messages=said).object)\n"
    "except openai.AuthenticationError as error: print(error.code)\n"
)


def asks(site: Site, token: str) -> str:
    """What an agent that nobody supervises hears."""
    command = [sys.executable, "-c", UNSUPERVISED, gateway_url(site), token]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=site.environment).stdout.strip()


def test_a_token_made_beside_the_gateway_opens_its_model_until_it_is_revoked_and_both_are_on_record(site: Site) -> None:
    made = json.loads(site.cli("gateway", "token", "--agent", "refunds", "--expires", "1h", "--json").stdout)
    assert asks(site, made["token"]) == "chat.completion"
    assert site.cli("gateway", "revoke", made["id"]).returncode == 0
    until(lambda: asks(site, made["token"]) == "run_token", "a refusal")
    kinds = ("run_token.created", "run_token.revoked")
    entries = [site.get("audit", kind=kind)["entries"][-1] for kind in kinds]
    assert [entry["token_id"] for entry in entries] == [made["id"]] * 2
    assert (entries[0]["agent"], made["token"] in json.dumps(entries)) == ("refunds", False)


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (("token",), "--agent NAME or --run RUN"),
        (("token", "--run", "a b"), "is no run"),
        (("token", "--agent", "a", "--expires", "0"), "a time above 0"),
        (("token", "--agent", "a", "--data-dir", "/nowhere"), "there is no gateway.secret in /nowhere"),
        (("revoke", "opskey-abc"), "no run token's id"),
    ],
)
def test_what_makes_no_token_says_why(site: Site, args: tuple[str, ...], why: str) -> None:
    refused = site.cli("gateway", *args)
    assert (refused.returncode, why in refused.stderr) == (2, True), refused.stderr
