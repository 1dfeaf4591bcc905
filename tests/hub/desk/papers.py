"""Policy files for the office, and the people they name."""

from __future__ import annotations

from opsconsole.domain.command import Role
from opsconsole.hub.desk.principal import Principal
from opsconsole.policy.file.loader import load
from opsconsole.policy.file.policy import FilePolicy
from tests.hub.desk.office import Office

TEXT = """
version = 1
name = "test"
trusted_servers = ["docs"]
[people]
operators = ["ana@acme.example", "ben@acme.example"]
finance = ["dee@acme.example", "eli@acme.example", "fay@acme.example"]
release = ["ben@acme.example", "fay@acme.example"]
[facts]
sql = { tool = "run_sql", arg = "query", dialect = "postgres", schema = "shop.json" }
grounding = { tool = "refund" }
[[rules]]
id = "small"
tool = "pay"
when = "has(args.amount) && args.amount <= 1.0"
decision = "allow"
[[rules]]
id = "pay"
tool = "pay"
when = "!has(args.amount) || args.amount > 1.0"
decision = "ask"
reason = "Money leaves."
ask = { approvers = 2, from = "finance", timeout = "1h", escalate = { after = "40m", to = "release" } }
[[rules]]
id = "huge"
tool = "pay"
when = "has(args.amount) && args.amount > 1000.0"
decision = "deny"
[[rules]]
id = "deploy"
tool = "deploy"
decision = "ask"
ask = { from = "release", timeout = "30m", not_by = "starter" }
[[rules]]
id = "unknown-column"
tool = "run_sql"
when = "sql.unclear || size(sql.unknown_columns) + size(sql.unknown_tables) > 0"
decision = "deny"
[[rules]]
id = "sql"
tool = "run_sql"
decision = "allow"
[[rules]]
id = "invented"
tool = "refund"
when = "size(grounding.ungrounded) > 0 || grounding.unclear"
decision = "deny"
[[rules]]
id = "refund"
tool = "refund"
decision = "allow"
[[rules]]
id = "read-only"
when = "tool.read_only && tool.trusted && !tool.open_world"
decision = "allow"
"""
FILES = {"shop.json": b'{"users": {"id": "int", "name": "text"}}'}

DEE = Principal(name="dee", role=Role.OPERATOR)
ELI = Principal(name="eli@acme.example", role=Role.OPERATOR)
FAY = Principal(name="fay", role=Role.OPERATOR)


def policy(text: str = TEXT) -> FilePolicy:
    """The policy that the text states."""
    return load(text, read=FILES.__getitem__)


def ruled_office() -> Office:
    """An office under the policy above."""
    return Office(policy=policy())
