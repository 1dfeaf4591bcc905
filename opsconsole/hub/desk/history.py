"""What each run has been shown, gathered for the facts of its policy: in memory only, looked through when asked for."""

from __future__ import annotations

from typing import Any

from opsconsole.domain.tool_call import CallStatus
from opsconsole.hub.desk.heard import RunHistory
from opsconsole.hub.desk.state import Call, Run
from opsconsole.hub.desk.world import World
from opsconsole.policy.facts.interface import History
from opsconsole.policy.interface import UNKNOWN_HISTORY, Policy
from opsconsole.policy.redaction import redact_text
from opsconsole.protocol.events import MessageEvent, ToolEvent

SCHEMA_CHANGES_KEPT_MAX = 50
SCHEMA_CHANGE_CHARS_MAX = 8_000
"""Of one change that a restart still knows."""
_SHOWN_TO_IT = frozenset({"user", "system", "operator"})


def is_needed(policy: Policy) -> bool:
    """Whether the policy has facts, some of which look at history."""
    return bool(getattr(policy, "has_facts", False))


def begin(world: World, run: Run) -> None:
    """A run begins: from here on all is heard, where it is needed."""
    if is_needed(world.policy):
        world.histories[run.id] = RunHistory()


def resume(world: World) -> None:
    """After a restart, or under another policy: of runs that were under way, only schema changes are known."""
    if not is_needed(world.policy):
        world.histories.clear()
        return
    for run in world.runs.values():
        if run.id not in world.histories and not run.ended:
            history = world.histories[run.id] = RunHistory()
            history.memory.forget()
            for change in run.schema_changes:
                history.memory.changed_schema(change)


def shown(world: World, run: Run, event: MessageEvent | ToolEvent) -> None:
    """An event may show the run something: words of others, and what its tools gave."""
    history = world.histories.get(run.id)
    if history is None:
        return
    texts: tuple[str | None, ...] = ()
    if event.type == "tool":
        texts = (event.result, event.error)
    elif event.role in _SHOWN_TO_IT:
        texts = (event.text, event.append)
    for text in texts:
        if text:
            history.hear(text)


def tell(world: World, run: Run, text: str | None) -> None:
    """An operator's words reach the run."""
    history = world.histories.get(run.id)
    if history is not None and text:
        history.hear(text)


def of(world: World, run: Run) -> History:
    """What is known of the run."""
    history = world.histories.get(run.id)
    if history is None:
        return UNKNOWN_HISTORY
    history.look()
    return history.memory.history


def note_change(world: World, call: Call, args: dict[str, Any], facts: Any) -> None:
    """The call, should it succeed, changes a schema."""
    find = getattr(world.policy, "schema_change", None)
    change = find(call.tool, args, facts) if find else None
    call.schema_change = redact_text(change, world.mask) if change else None


def ended(world: World, run: Run, call: Call) -> None:
    """A call is over: a change of schema that succeeded is remembered."""
    change, call.schema_change = call.schema_change, None
    if change is None or call.status is not CallStatus.COMPLETED:
        return
    if len(run.schema_changes) < SCHEMA_CHANGES_KEPT_MAX and len(change) <= SCHEMA_CHANGE_CHARS_MAX:
        run.schema_changes.append(change)
    history = world.histories.get(run.id)
    if history is not None:
        history.memory.changed_schema(change)
