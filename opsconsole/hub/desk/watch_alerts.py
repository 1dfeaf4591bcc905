"""What follows when a detector finds something: an alert with its evidence, a pause, a nudge, an entry; never a kill.

warn   an alert on the run's row, an entry of the audit, a line on the timeline
trip   the same, and where a policy was written and the trouble is the run's own: a pause, words for the agent, and a
       question for operators, whose answer moves the agent's thresholds
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

from opsconsole.domain.command import Do
from opsconsole.domain.ids import joined_id
from opsconsole.domain.run import FENCED, HELD
from opsconsole.domain.text import safe_line
from opsconsole.hub.desk import gateway, limits, watch
from opsconsole.hub.desk.effects import Changed, Effects
from opsconsole.hub.desk.policies import HUB_KEY
from opsconsole.hub.desk.principal import HUB
from opsconsole.hub.desk.settings import ALERTS_KEPT_MAX
from opsconsole.hub.desk.state import Run
from opsconsole.hub.desk.world import World
from opsconsole.policy.detectors.finding import Finding, Severity
from opsconsole.policy.detectors.registry import REGISTRY
from opsconsole.policy.file.policy import FilePolicy
from opsconsole.policy.redaction import redact
from opsconsole.protocol.frames import PointCommand
from opsconsole.protocol.rates import Rate
from opsconsole.protocol.rows import Alert

RUNS_TOLD_MAX = 20
"""Of the runs that one trouble concerns: on whose rows it is shown."""
RAISED_MAX = 200
"""Alerts of detectors on record of one run: an agent chooses its own troubles, and each is an entry."""
SHOWN_MAX = ALERTS_KEPT_MAX // 2
"""Of a run's row: the hub's own alarms have the other half."""
HUB_ALERTS_MAX = 20
TEXT_CHARS_MAX = 400
EVIDENCE_ITEMS_MAX = 16
EVIDENCE_CHARS_MAX = 300
"""Of one value."""
EVIDENCE_DEPTH_MAX = 2
AGAIN_SECONDS = 3_600.0
"""What a restart finds anew within this time is what was known before it."""
NUDGE_SECONDS = 86_400.0
"""How long the words wait for an agent that is paused."""
LOST_SECONDS = 60.0
"""How long the hub says that detectors have not seen everything."""
LOST = "detectors_behind"
OWN = frozenset(entry.name for entry in REGISTRY if entry.scope == "run")
"""Detectors of one run: its own trouble, which a pause of it ends."""


def told_rates(world: World, rates: Sequence[Rate], now: float) -> Effects:
    """The detectors look at what a gateway tells of rate limits."""
    return raise_all(world, watch.told_rates(world, rates, now), now)


def raise_all(world: World, findings: Sequence[Finding], now: float) -> Effects:
    """An alert for each finding, and what follows from it."""
    last = {finding.key: finding for finding in findings}  # a trip is told in place of the warning before it
    return [effect for finding in last.values() for effect in _raise(world, finding, now)]


def alert_id(key: str) -> str:
    """The alert about one trouble, however often it is told."""
    return "alr_" + blake2b(key.encode("utf-8", "replace"), digest_size=8).hexdigest()


def _raise(world: World, finding: Finding, now: float) -> Effects:
    runs = [run for name in finding.runs if (run := world.runs.get(name)) is not None][:RUNS_TOLD_MAX]
    alert = _alert(world, finding, now)
    if not runs:
        return [] if finding.runs else _on_hub(world, alert, now)
    first = next((run for run in runs if run.alerts_raised < RAISED_MAX), runs[0])
    command = _stop_command(world, first, finding)
    is_noise = first.alerts_raised >= RAISED_MAX and command is None  # a pause waits for a person: it bounds itself
    if _is_known(first, alert) or is_noise:
        return []
    first.alerts_raised += 1
    if command is not None:
        first.hub_seq += 1
    alert.paused = command is not None
    entry = details(first, alert) | {"key": finding.key, "command": command}
    shown = show(world, first, alert, finding.key)
    for other in (run for run in runs if run is not first):
        shown += show(world, other, alert.model_copy(update={"paused": False}), finding.key)
    paused = [] if command is None else pause(world, first, alert, command, now)
    told = world.record_act(f"run/{first.id}", world.entry("alert.raised", HUB, now, entry))
    return paused + told + shown + world.note_alert(first, alert)


def _alert(world: World, finding: Finding, now: float) -> Alert:
    is_trip = finding.severity is Severity.TRIP
    return Alert(
        id=alert_id(finding.key),
        kind=finding.detector,
        text=world.shown(finding.text, TEXT_CHARS_MAX),
        level="critical" if is_trip else "warning",
        at=now,
        detector=finding.detector,
        severity="trip" if is_trip else "warn",
        evidence=_safe(redact(dict(finding.evidence), world.mask)[0], 0),
        runs=list(finding.runs[:RUNS_TOLD_MAX]),
        agents=[safe_line(agent, limit=200) for agent in finding.agents[:RUNS_TOLD_MAX]],
    )


def _safe(value: Any, depth: int) -> Any:
    """Evidence that is bounded and drives no terminal."""
    if isinstance(value, bool | int | float) or value is None:
        return value
    if depth < EVIDENCE_DEPTH_MAX and isinstance(value, dict):
        items = list(value.items())[:EVIDENCE_ITEMS_MAX]
        return {safe_line(str(key), limit=60): _safe(one, depth + 1) for key, one in items}
    if depth < EVIDENCE_DEPTH_MAX and isinstance(value, list | tuple):
        return [_safe(one, depth + 1) for one in value[:EVIDENCE_ITEMS_MAX]]
    return safe_line(str(value), limit=EVIDENCE_CHARS_MAX)


def _is_known(run: Run, alert: Alert) -> bool:
    """Whether a restart finds anew what was told before it."""
    known = next((one for one in run.alerts if one.id == alert.id), None)
    return (
        known is not None
        and (known.severity == "trip" or alert.severity == "warn")
        and len(alert.runs) <= len(known.runs)
        and alert.at - known.at < AGAIN_SECONDS
    )


def details(run: Run, alert: Alert) -> dict[str, Any]:
    """What the audit holds of an alert."""
    about = alert.model_dump(include={"detector", "severity", "text", "evidence", "runs", "agents", "level", "paused"})
    return {"run": run.id, "agent": run.agent, "alert": alert.id, **about}


def _says_as_much(alert: Alert, other: Alert) -> bool:
    """Whether a detector tells of the change of model that the timeline's own alert has told already."""
    return other.kind == "model_changed" and alert.kind == "drift" and "served_model" in alert.evidence


def show(world: World, run: Run, alert: Alert, key: str) -> Effects:
    """Put an alert on a run's row, in place of what it said before; an alarm ends grants that the run could use."""
    world.end_grants(run, f"alert {alert.kind}", alert.at)
    rest = [one for one in run.alerts if one.id != alert.id and not _says_as_much(alert, one)]
    while sum(1 for one in rest if one.detector) >= SHOWN_MAX:
        oldest = next((one for one in rest if one.detector and one.verdict), next(one for one in rest if one.detector))
        rest.remove(oldest)
        run.alert_keys.pop(oldest.id, None)
    run.alerts = [*rest[-(ALERTS_KEPT_MAX - 1) :], alert]
    run.alert_keys[alert.id] = key
    return world.changed_run(run)


def _stop_command(world: World, run: Run, finding: Finding) -> str | None:
    """The command of the pause that follows, or None where nothing is paused."""
    is_own = finding.severity is Severity.TRIP and finding.detector in OWN | {"drift"}
    if not is_own or not isinstance(world.policy, FilePolicy) or not world.policy.detectors.pause:
        return None
    if run.ended or run.state in FENCED or run.state in HELD or run.baton is not None:
        return None
    return joined_id(f"cmd_alert_{run.hub_seq + 1}", run.id)


def pause(world: World, run: Run, alert: Alert, command: str, now: float, why: str = "") -> Effects:
    """Pause the run, with words that the agent reads when it goes on."""
    why = why or safe_line(alert.text, limit=200)
    paused = limits.pause_by_hub(world, run, command, why, now)
    noted = world.note_command(run, command, Do.PAUSE, "hub", "recorded", now, why)
    return paused + nudge(world, run, alert, command, now) + noted


def nudge(world: World, run: Run, alert: Alert, command: str, now: float) -> Effects:
    """Tell the agent what was seen; where no point of it takes words, nothing."""
    if not any("inject" in point.caps for point in run.points.values()):
        return []
    text = (
        f"opsconsole has paused this run: {alert.text}. An operator looks at it. When it goes on, do not repeat what "
        "you did: take another way, or say what you need."
    )
    frame = PointCommand(cmd=f"{command}.n", run=run.id, cseq=0, do=Do.INJECT, by="hub", text=text)
    return world.tell(run, frame, now, NUDGE_SECONDS, gateway.side_of(run, Do.INJECT))


def _on_hub(world: World, alert: Alert, now: float) -> Effects:
    """What concerns no single run stands on the hub's own row."""
    put_on_hub(world, alert)
    details = alert.model_dump(include={"detector", "severity", "text", "evidence", "level"}) | {"alert": alert.id}
    told = world.record_act("hub/alert.raised", world.entry("alert.raised", HUB, now, details))
    return [*told, Changed(view="hub", key=HUB_KEY)]


def put_on_hub(world: World, alert: Alert) -> None:
    """Put an alert on the hub's own row, in place of what it said before."""
    rest = [one for one in world.hub_alerts if one.id != alert.id]
    world.hub_alerts = [*rest[-(HUB_ALERTS_MAX - 1) :], alert]


def say_lost(world: World, now: float) -> Effects:
    """The hub does not hide that its detectors have not seen everything."""
    lost, world.watch.lost = world.watch.lost, 0
    known = next((one for one in world.hub_alerts if one.kind == LOST), None)
    if lost == 0:
        if known is None or now - known.at < LOST_SECONDS:
            return []
        world.hub_alerts = [one for one in world.hub_alerts if one.kind != LOST]
        return [Changed(view="hub", key=HUB_KEY)]
    if known is not None and now - known.at < LOST_SECONDS:
        return []
    text = "more happens than the detectors can look at: some of it they have not seen"
    alert = Alert(id=f"hub:{LOST}", kind=LOST, text=text, level="warning", at=now)
    world.hub_alerts = [*(one for one in world.hub_alerts if one.kind != LOST), alert]
    world.at(now + LOST_SECONDS, "watch", "")
    return [Changed(view="hub", key=HUB_KEY)]
