"""The desk: every input of the hub enters here and leaves as effects; the rules stand in the modules beside it."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opsconsole.domain.approval import OPEN
from opsconsole.domain.command import CommandStatus
from opsconsole.hub.desk import (
    agents,
    breaker_ends,
    budgets,
    commands,
    control,
    forgetting,
    gate,
    grants,
    kill,
    links,
    made_up,
    missing,
    policies,
    questions,
    rates,
    readings,
    records,
    recovery,
    refusals,
    reminders,
    replay,
    rows,
    watch,
    watch_looks,
)
from opsconsole.hub.desk.effects import Effects
from opsconsole.hub.desk.principal import HUB, Principal
from opsconsole.hub.desk.records import DeskRecord
from opsconsole.hub.desk.refusal import Refusal
from opsconsole.hub.desk.settings import DeskSettings
from opsconsole.hub.desk.world import Price, World
from opsconsole.policy.interface import Policy
from opsconsole.policy.redaction import Masker
from opsconsole.protocol.frames import (
    Command,
    Frame,
    Hello,
)
from opsconsole.protocol.rows import ApprovalRow

_SETTLED = frozenset({CommandStatus.APPLIED, CommandStatus.VOID, CommandStatus.EXPIRED, CommandStatus.UNCONFIRMED})


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandReport:
    """How an operator's command went, for whoever asks."""

    command: str
    do: str
    by: str
    at: float
    status: str
    settled: bool
    runs: list[dict[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """As `GET /v1/commands/{cmd}` gives it."""
        return {
            "cmd": self.command,
            "do": self.do,
            "by": self.by,
            "at": self.at,
            "status": self.status,
            "settled": self.settled,
            "runs": self.runs,
        }


class Desk:
    """All of the hub's rules behind one face. `now` is the hub's clock: unix seconds, never running backwards."""

    def __init__(
        self, *, epoch: str, policy: Policy, price: Price, mask: Masker, settings: DeskSettings | None = None
    ) -> None:
        self._world = World(epoch=epoch, policy=policy, price=price, mask=mask, settings=settings or DeskSettings())
        watch.begin(self._world)
        budgets.begin(self._world)

    # -- agents ----------------------------------------------------------------------------------------------------

    def agent_hello(self, conn: str, principal: Principal, hello: Hello, now: float) -> Effects:
        """A point introduces itself and its runs."""
        return agents.hello(self._world, conn, principal, hello, now)

    def agent_frame(self, conn: str, frame: Frame, data: bytes, now: float) -> Effects:
        """Anything a point says after its hello; `data` is the frame as received, stored byte for byte."""
        return agents.frame(self._world, conn, frame, data, now)

    def agent_gone(self, conn: str, why: str, clean: bool, now: float) -> Effects:
        """A point's connection ended."""
        return rates.gone(self._world, conn) + links.gone(self._world, conn, why, clean, now)

    # -- operators -------------------------------------------------------------------------------------------------

    def command(self, command: Command, principal: Principal, reply_to: str, now: float) -> Effects:
        """An operator asks for something; answered by a Reply, at once or once it is on record."""
        return commands.command(self._world, command, principal, reply_to, now)

    def refuse(self, command: Command, principal: Principal, reply_to: str, refusal: Refusal, now: float) -> Effects:
        """A command that the shell knows to be in vain; on record as those are that the desk refuses."""
        return refusals.refuse(self._world, command, principal, reply_to, refusal, "", now)

    def fact(self, kind: str, principal: Principal | None, details: dict[str, Any], now: float) -> Effects:
        """Something the shell saw: a login, a refusal at the door, a token made or revoked, the hub's own start."""
        who = principal or HUB
        return self._world.record_act(f"hub/{kind}", self._world.entry(kind, who, now, details))

    # -- the policy ------------------------------------------------------------------------------------------------

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self._world.policy

    @property
    def policy_name(self) -> str:
        """What it calls itself."""
        return policies.name_of(self._world.policy)

    def made_up_question(
        self, new_id: str, agent: str, tool: str, args: dict[str, Any], agent_reason: str, now: float
    ) -> ApprovalRow | None:
        """What an operator would be asked about such a call; None where nobody would be, or more than one."""
        return made_up.question(self._world, new_id, agent, tool, args, agent_reason, now)

    def change_policy(self, policy: Policy, diff: str, now: float) -> Effects:
        """Judge by this policy from now on; `diff` is for the record."""
        return policies.change(self._world, policy, diff, now)

    def reject_policy(self, problems: Sequence[str], now: float) -> Effects:
        """A new policy could not be read: keep the old one and tell everybody."""
        return policies.reject(self._world, problems, now)

    # -- durability ------------------------------------------------------------------------------------------------

    def stored(self, token: int, position: int, now: float) -> Effects:
        """A batch is on disk: the point may forget it."""
        return agents.stored(self._world, token, position, now)

    def recorded(self, token: int, seq: int, now: float) -> Effects:
        """An entry is on disk: what waited for it happens now."""
        pending = self._world.after_record.pop(token, None)
        return (pending[0](seq, now) if pending else []) + self._world.own_up(now)

    def record_failed(self, token: int, problem: str, now: float) -> Effects:
        """An entry or batch could not be made durable: what permits does not happen; points send batches again."""
        batch = self._world.after_store.pop(token, None)
        if batch:
            return agents.store_failed(self._world, batch, now)
        pending = self._world.after_record.pop(token, None)
        return pending[1](problem, now) if pending else []

    def missing(self, lines: Mapping[str, int], now: float) -> Effects:
        """Storage takes events again, but was not offered so many of the hub's own lines of each run."""
        return missing.tell(self._world, lines, now)

    # -- time ------------------------------------------------------------------------------------------------------

    def tick(self, now: float) -> Effects:
        """Everything whose time has come; no timer ever allows anything."""
        world = self._world
        effects: Effects = []
        while world.timers and world.timers[0][0] <= now:
            _, _, kind, key = heapq.heappop(world.timers)
            effects += self._due(kind, key, now)
        return effects

    def next_due(self) -> float | None:
        """When the desk next has something to do by itself, in the hub's clock; None when never."""
        return self._world.timers[0][0] if self._world.timers else None

    def _due(self, kind: str, key: str, now: float) -> Effects:
        return _TIMERS[kind](self._world, key, now)

    # -- reading ---------------------------------------------------------------------------------------------------

    def run_row(self, run: str, now: float | None = None) -> Any:
        """The row of a run, or None. `now` (hub clock) is for the burn rate; without it, the run's last news counts."""
        record = self._world.runs.get(run)
        return rows.run_row(self._world, record, record.progress_at if now is None else now) if record else None

    def run_state(self, run: str) -> str | None:
        """The state of a run, or None; cheaper than its row."""
        record = self._world.runs.get(run)
        return str(record.state) if record else None

    def approval_row(self, approval: str) -> Any:
        """The row of an approval that is on record, or None."""
        record = self._world.approvals.get(approval)
        return rows.approval_row(record) if record and record.visible else None

    def grants(self, now: float) -> list[dict[str, Any]]:
        """Standing grants and those that are over, oldest first."""
        found = self._world.grants.values()
        return [grants.details(one) | {"state": grants.state_of(one, now)} for one in found]

    def budgets(self, now: float) -> list[dict[str, Any]]:
        """Every cap of the policy's breakers that counts a live run: used, reserved, and whether it has tripped."""
        return self._world.budgets.breakers.accounts(now)

    def hub_row(self) -> Any:
        """The row of the hub itself."""
        return policies.hub_row(self._world)

    def run_ids(self, live_only: bool = False) -> list[str]:
        """Every run on the board, or those that have not ended."""
        return [run.id for run in self._world.runs.values() if not (live_only and run.ended)]

    def approval_ids(self, pending_only: bool = False) -> list[str]:
        """Every approval on record, or those that wait."""
        return [
            one.id
            for one in self._world.approvals.values()
            if one.visible and not (pending_only and one.status not in OPEN)
        ]

    def command_report(self, command: str) -> CommandReport | None:
        """How a command went, or None for one that is not known."""
        receipt = self._world.receipts.get(command)
        if receipt is None:
            return None
        lines = list(receipt.runs.values())
        done = {"dead", "already_dead", "unconfirmed", "not_found", *_SETTLED}
        settled = receipt.res is not None and all(line["status"] in done for line in lines)
        status = lines[0]["status"] if len({line["status"] for line in lines}) == 1 else "mixed"
        return CommandReport(
            command=receipt.command,
            do=receipt.do,
            by=receipt.by,
            at=receipt.at,
            status=status if lines else "recorded",
            settled=settled,
            runs=lines,
        )

    def retry_records(self) -> Effects:
        """Offer storage again the acts whose entry it has not taken; also done before the hub goes down."""
        return self._world.retry_records()

    @property
    def unrecorded(self) -> int:
        """Acts whose audit entry storage has not taken yet."""
        return len(self._world.unrecorded)

    # -- recovery --------------------------------------------------------------------------------------------------

    def take_dirty(self, limit: int) -> list[DeskRecord]:
        """Up to `limit` records that changed since they were last taken; the server keeps them in hub.db."""
        return records.take_dirty(self._world, limit)

    def load(self, saved: Iterable[DeskRecord]) -> None:
        """Records as they were last taken."""
        records.load(self._world, saved)

    def foresee_entry(self, body: bytes) -> None:
        """An audit entry that replay will come to: all of them are told before the first is replayed."""
        replay.foresee(self._world, body)

    def replay_batch(self, *, run: str, gen: str, first_seq: int, count: int, at: float, body: bytes) -> None:
        """Events stored after the records were taken."""
        replay.batch(self._world, run, gen, first_seq, count, at, body)

    def replay_entry(self, seq: int, key: str, at: float, body: bytes) -> None:
        """An audit entry written after the records were taken."""
        replay.entry(self._world, seq, key, at, body)

    def finish_recovery(self, now: float) -> Effects:
        """Everything is replayed: links are stale until heard, calls without verdict are judged, timers run."""
        return recovery.finish(self._world, now)

    def forget_ended(self) -> Effects:
        """Drop the longest ended runs from the board when there are too many; nobody may start them again."""
        return forgetting.forget_ended(self._world)


_TIMERS: dict[str, Callable[[World, str, float], Effects]] = {
    "expire": questions.expire,
    "remind": reminders.remind,
    "grants": grants.tell_revoked,
    "escalate": reminders.escalate,
    "kill": kill.due,
    "lost": links.check_lost,
    "give_up": links.give_up,
    "baton": control.baton_due,
    "command": control.expire_commands,
    "burn": readings.burn_due,
    "lease": gate.lease_over,
    "answer": lambda world, key, _now: commands.answer_unrecorded(world, key),
    "resend": lambda world, key, _now: agents.ask_again(world, key),
    "retry": lambda world, _key, _now: world.retry_records(),
    "refusals": refusals.tell_repeated,
    "watch": watch_looks.look,
    "watch_tick": watch_looks.tick,
    "breakers": breaker_ends.tick,
    "budget": gate.room_elsewhere,
}
"""kind of timer -> what is done when its time has come; none of these allows anything."""
