"""The policy before anyone has written one: read-only tools by exact name pass, everything else asks a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from opsconsole.domain.digest import digest
from opsconsole.domain.tool_call import CallKind, Risk
from opsconsole.policy.interface import Decision, Limits, Proposal, Verdict

READ_ONLY_TOOLS = frozenset(
    {
        "read_file",
        "list_files",
        "list_directory",
        "get_file",
        "glob",
        "grep",
        "search",
        "search_files",
        "read_table",
        "describe_table",
        "list_tables",
        "http_get_status",
        "get_time",
        "think",
    }
)
"""Names only: what a tool claims about itself (`read_only`) is the agent's word and is not believed here."""

RUN_LIMITS = Limits(cost_usd=5.0, turns=200, tokens=2_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultPolicy:
    """Safe without configuration. Every field is a setting; the hash covers all of them."""

    read_only_tools: frozenset[str] = READ_ONLY_TOOLS
    run_limits: Limits = RUN_LIMITS
    ask_ttl_seconds: float | None = None
    risks: Mapping[str, Risk] = field(default_factory=dict)
    """tool name -> risk shown to the operator; what is not named is medium, or higher if the agent says so."""

    @property
    def hash(self) -> str:
        """Digest of the settings."""
        limits = self.run_limits
        return digest(
            {
                "policy": "default/1",
                "read_only_tools": sorted(self.read_only_tools),
                "limits": [limits.cost_usd, limits.turns, limits.tokens],
                "ttl": self.ask_ttl_seconds,
                "risks": {name: str(risk) for name, risk in self.risks.items()},
            }
        )

    @property
    def passes_turns(self) -> bool:
        """Turns are limited by what they use, not by what they ask."""
        return True

    def judge(self, proposal: Proposal) -> Verdict:
        """Allow a listed read-only tool and the turns and handoffs between agents; ask about the rest."""
        if proposal.kind is not CallKind.TOOL_CALL:
            return Verdict(decision=Decision.ALLOW, rule=f"default:{proposal.kind}", reason="", risk=Risk.LOW)
        if proposal.tool in self.read_only_tools:
            return Verdict(
                decision=Decision.ALLOW,
                rule="default:read-only",
                reason="on the list of read-only tools",
                risk=Risk.LOW,
            )
        return Verdict(
            decision=Decision.ASK,
            rule="default:ask",
            reason=f"{proposal.tool!r} is not on the list of read-only tools",
            risk=self.risks.get(proposal.tool) or proposal.risk_claimed or Risk.MEDIUM,
            ttl_seconds=self.ask_ttl_seconds,
        )

    def limits(self, agent: str, labels: Mapping[str, str]) -> Limits:
        """The same limits for every run."""
        return self.run_limits
