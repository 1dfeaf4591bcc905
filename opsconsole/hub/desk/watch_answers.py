"""An operator's answer to an alert, real or fine: on record, on the row, and then in the thresholds of its agents."""

from __future__ import annotations

from typing import Any

from opsconsole.domain.command import Do
from opsconsole.hub.desk.refusal import Refusal
from opsconsole.hub.desk.state import Run
from opsconsole.hub.desk.world import World
from opsconsole.policy.detectors.finding import Finding, Severity
from opsconsole.policy.detectors.tuning import Answer
from opsconsole.protocol.frames import Command
from opsconsole.protocol.rows import Alert

NO_RUN = ""
"""Of an alert on the hub's own row."""


def find(world: World, alert: str, run: str = NO_RUN) -> dict[str, Alert]:
    """Run -> that alert on its row; the hub's own under `NO_RUN`."""
    asked = world.runs.get(run)
    first = next((one for one in asked.alerts if one.id == alert), None) if asked else None
    named = [known for one in first.runs if (known := world.runs.get(one)) is not None] if first else []
    runs = named if first else world.runs.values()
    found = {one.id: shown for one in runs for shown in one.alerts if shown.id == alert and shown.detector}
    found |= {run: first} if first and first.detector else {}
    hub = next((one for one in world.hub_alerts if one.id == alert and one.detector), None)
    return found | ({NO_RUN: hub} if hub else {})


def check(world: World, command: Command) -> dict[str, Alert]:
    """The alerts that a command answers. Raises: Refusal."""
    if command.verdict is None or not command.alert:
        raise Refusal("bad_request", "an answer names an alert, and is real or fine", {})
    found = find(world, command.alert, command.run or NO_RUN)
    if not found:
        raise Refusal("not_found", f"no alert {command.alert!r} that a detector raised", {})
    answered = next(iter(found.values()))
    if answered.verdict == command.verdict:
        now = {"verdict": answered.verdict, "by": answered.verdict_by}
        raise Refusal("precondition_failed", f"{answered.verdict_by} has said so: {answered.verdict}", now)
    return found


def details(world: World, command: Command, found: dict[str, Alert]) -> dict[str, Any]:
    """What the audit holds of the answer."""
    name, alert = next(iter(found.items()))
    run = world.runs.get(name)
    return {
        "command": command.cmd,
        "do": str(Do.ANSWER_ALERT),
        "alert": alert.id,
        "run": name or None,
        "agent": run.agent if run else "",
        "agents": alert.agents,
        "detector": alert.detector,
        "severity": alert.severity,
        "text": alert.text,
        "verdict": command.verdict,
        "note": command.note or "",
    }


def apply(world: World, found: dict[str, Alert], alert_id: str, verdict: str, by: str) -> list[Run]:
    """Show the answer on every row that shows the alert; gives those whose row changed."""
    changed: list[Run] = []
    for name in found:
        run = world.runs.get(name)
        if run is not None:
            run.alerts = [_answered(one, alert_id, verdict, by) for one in run.alerts]
            changed.append(run)
    if NO_RUN in found:
        world.hub_alerts = [_answered(one, alert_id, verdict, by) for one in world.hub_alerts]
    return changed


def _answered(alert: Alert, alert_id: str, verdict: str, by: str) -> Alert:
    return alert if alert.id != alert_id else alert.model_copy(update={"verdict": verdict, "verdict_by": by})


def tune(world: World, detector: str, agents: list[str], verdict: str, keys: dict[str, str] | None = None) -> None:
    """Move the thresholds of these agents; `keys` is run -> trouble, which is told again should it come back."""
    live = {run.id: run.agent for run in world.runs.values() if not run.ended and run.agent in agents}
    run, key = next(iter((keys or {}).items()), ("", ""))
    finding = Finding(detector=detector, severity=Severity.WARN, text="", key=key, runs=(run,), agents=tuple(agents))
    world.watch.detectors.answer(finding, Answer(verdict), live)
    world.dirty["watch", "tuning"] = None


def key_of(world: World, found: dict[str, Alert], alert_id: str) -> dict[str, str]:
    """The run that shows it first -> what its detector knows the trouble by."""
    for name in found:
        run = world.runs.get(name)
        if run is not None and alert_id in run.alert_keys:
            return {name: run.alert_keys[alert_id]}
    return {}
