"""Who is at the other end: a token's name and role, and where it came from; it checks no secret."""

from __future__ import annotations

from dataclasses import dataclass

from opsconsole.domain.command import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """The holder of a token, as every audit entry names it."""

    name: str
    role: Role
    token_id: str = ""
    origin: str = ""
    """The peer's address, e.g. `127.0.0.1:51234`."""
    client: str = ""
    agent_prefix: str | None = None
    """An agent token may start only runs whose agent begins with this."""

    def as_who(self) -> dict[str, str]:
        """The `who` of an audit entry."""
        return {
            "principal": self.name,
            "role": str(self.role),
            "token": self.token_id,
            "from": self.origin,
            "client": self.client,
        }


HUB = Principal(name="hub", role=Role.ADMIN)
"""The hub acting by itself: timers, policy, recovery."""
