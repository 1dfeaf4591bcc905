"""Fuzzes the loader of policy files: any text gives a policy or problems, and no policy makes an error an allow."""

from __future__ import annotations

from typing import Any

from opsconsole.domain.tool_call import CallKind
from opsconsole.policy.file.loader import load
from opsconsole.policy.file.policy import FilePolicy
from opsconsole.policy.file.problem import PolicyError
from opsconsole.policy.interface import Decision, Proposal
from opsconsole.policy.rules.engine import Failed
from opsconsole.policy.rules.weigh import weigh

LINES = """version = 1
timezone = "Europe/Berlin"
[defaults]
decision = "allow"
ask = { approvers = 1, from = "operators", timeout = "10m" }
[people]
finance = ["dee", "eli"]
[hours]
office = "Mon-Fri 09:00-17:00"
[facts]
sql = { tool = "run_sql", arg = "query", schema = "warehouse.json" }
[[rules]]
id = "a"
tool = "run_sql"
when = "sql.writes"
decision = "deny"
[[rules]]
id = "b"
when = '''!has(args.amount) || args.amount > 100.0'''
decision = "ask"
ask = { from = "finance", approvers = 2 }
[[breakers]]
id = "c"
per = "run"
trip = { cost_usd = 5.00 }
[[expect]]
tool = "pay"
args = { amount = 100.01 }
decision = "ask"
""".splitlines()
"""A short policy, into which lines are put."""

SEEDS = [
    b"",
    b"\x05[[rules]]\nid = 'x'\ndecision = 'allow'\nwhen = 'args.a > 1 || hours.office'",
    b"\x0cwhen = \"args.to.exists(x, x.matches('^a')) && size(args) < 3\"",
    b"[detectors]\nloop = { warn = 3, trip = 4, window = 12 }\ndrift = false",
    b"args.to.exists(x, x == run.agent) || (args.a in [1, 2.0] ? hours.office : size(args) > 3)",
    b'args["amount"] + 1 == int(args.n) % 3 && tool.name.startsWith("p") && type(args.a) == string',
    b"has(run.labels.team) && {1: args}[1].b.c == null || timestamp(args.at) < timestamp(args.to)",
    b"\x02[tools.pay]\nschema = { properties = { amount = {} } }",
    b"[facts]\nx = { fact = 'shell', tool = 'bash|sh*', arg = 'command', workspace = '/srv' }",
]
ARGS: tuple[dict[str, Any], ...] = ({}, {"amount": "250"}, {"amount": 250, "query": "SELECT 1"}, {"to": ["a"], "a": 2})
TOOLS = ("run_sql", "pay", "bash")


def fuzz_one(data: bytes) -> None:
    """Loads `data` as it is, as lines put into a short policy and as an expression of it; judges by what loads."""
    text = data.decode("utf-8", "replace")
    _try(text)
    at = data[0] % len(LINES) if data else 0
    _try("\n".join([*LINES[:at], text[1:], *LINES[at + len(data) % 3 :]]))
    _try(
        "\n".join(LINES).replace(
            "has(args.amount)", "".join(char for char in text if char.isprintable() and char != "'")
        )
    )


def _try(text: str) -> None:
    try:
        policy = load(text, read={"warehouse.json": b'{"orders": {"id": "int"}}'}.__getitem__)
    except PolicyError as error:
        if not error.problems:
            raise AssertionError("refused without a reason") from error
        return
    policy.test()
    for tool in TOOLS:
        for args in ARGS:
            _check(policy, tool, args)


def _check(policy: FilePolicy, tool: str, args: dict[str, Any]) -> None:
    call = Proposal(run="r", agent="a", call="c", kind=CallKind.TOOL_CALL, tool=tool, args=args, now=1.8e9)
    weighed = weigh(policy.ruleset, call)
    if any(isinstance(result, Failed) for _, result in weighed.results):
        assert weighed.verdict.decision is not Decision.ALLOW, "an error allowed a call"
