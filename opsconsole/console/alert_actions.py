"""The acts by which alerts are read and answered, and caps are raised: no others."""

from __future__ import annotations

from opsconsole.console.action import ON_A_RUN, READING, Action, ViewName

_ALERTS: frozenset[ViewName] = frozenset({"alerts"})

ALERT_ACTIONS: tuple[Action, ...] = (
    Action(
        id="show_alerts",
        keys=("8", "A"),
        label="alerts",
        help="Show what detectors and breakers have found, worst first.",
        views=READING,
    ),
    Action(
        id="answer_real",
        sudden=True,
        keys=("r",),
        label="real",
        help="Say that the alert is real trouble: what was raised of its agent's thresholds comes down again.",
        views=_ALERTS,
        hint=2,
    ),
    Action(
        id="answer_fine",
        sudden=True,
        keys=("f",),
        label="fine",
        help="Say that the alert is fine: two such answers raise the thresholds of its agent by a step.",
        views=_ALERTS,
        hint=3,
    ),
    Action(
        id="raise_cap",
        asks=True,
        keys=("b",),
        label="raise cap",
        help="Raise the caps that hold the run and let it go on, in one decision; of a run at work, set other caps.",
        views=ON_A_RUN,
    ),
)
