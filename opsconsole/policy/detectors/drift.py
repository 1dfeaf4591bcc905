"""Model drift, the rest: a fingerprint not seen for a week, and behaviour that is no longer what it was.

Behaviour is four numbers of an agent's turns and calls; each is compared by a two-sample test, the latest against a
reference of the same size, once for every full sample, so that looking often is not finding often.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, ClassVar

from opsconsole.policy.detectors.bounded import kept, put
from opsconsole.policy.detectors.finding import NOTHING, Finding, SettingsOf, Severity
from opsconsole.policy.detectors.observation import LATENCY_MS_MAX, CallProposed, Seen, TurnEnded
from opsconsole.policy.detectors.two_samples import p_value
from opsconsole.policy.file.settings import DriftSettings

MEASURES = {
    "output_tokens": "output tokens",
    "latency": "latency",
    "args_chars": "length of arguments",
    "args_count": "number of arguments",
}
WEEK_SECONDS = 7 * 86_400.0
FINGERPRINTS_MAX = 100
"""Of one model: providers return several at a time, so a set is kept, not the last one."""
TURNS_MIN = 100
"""Of a model before a fingerprint can be new: fewer do not show all there are."""
MODELS_MAX = 200
SAMPLES_MAX = 2_000
"""Agents of the fleet times models times measures."""


@dataclass(slots=True)
class _Sample:
    """One measure of one agent with one model."""

    reference: list[float] = field(default_factory=list)
    latest: list[float] = field(default_factory=list)


@dataclass(slots=True)
class _Model:
    """One model's fingerprints."""

    turns: int = 0
    fingerprints: dict[str, float] = field(default_factory=dict)
    """Each with when it was last seen."""


class Drift:
    """The fleet's."""

    watches: ClassVar[tuple[type[Seen], ...]] = (TurnEnded, CallProposed)

    def __init__(self, settings_of: SettingsOf[DriftSettings]) -> None:
        self.settings_of = settings_of
        self._models: dict[str, _Model] = {}
        self._samples: dict[tuple[str, str, str], _Sample] = {}
        self._asked: dict[str, str] = {}
        """Run -> the model of its last turn, which makes its calls."""

    def observe(self, seen: Seen) -> Sequence[Finding]:
        """Looks at turns and proposals."""
        if isinstance(seen, TurnEnded):
            put(self._asked, seen.run, seen.model, SAMPLES_MAX)
            found = [*self._fingerprint(seen)] if seen.fingerprint else []
            found += self._behaviour(seen, seen.model, "output_tokens", seen.output_tokens)
            if 0 < seen.latency_ms <= LATENCY_MS_MAX:
                found += self._behaviour(seen, seen.model, "latency", seen.latency_ms)
            return found
        if isinstance(seen, CallProposed) and (model := self._asked.get(seen.run)) is not None:
            chars = self._behaviour(seen, model, "args_chars", seen.args_chars)
            return [*chars, *self._behaviour(seen, model, "args_count", seen.args_count)]
        return NOTHING

    def _fingerprint(self, seen: TurnEnded) -> Sequence[Finding]:
        model = kept(self._models, f"{seen.provider} {seen.model}".strip(), _Model, MODELS_MAX)
        model.turns += 1
        last = model.fingerprints.pop(seen.fingerprint, None)
        put(model.fingerprints, seen.fingerprint, seen.at, FINGERPRINTS_MAX)
        if model.turns <= TURNS_MIN or (last is not None and seen.at - last <= WEEK_SECONDS):
            return NOTHING
        text = f"{seen.model} answers with a fingerprint not seen for a week: {seen.fingerprint}"
        key = f"drift:fingerprint:{seen.model}:{seen.fingerprint}"
        return [_found(seen, text, key, {"model": seen.model, "fingerprint": seen.fingerprint})]

    def _behaviour(self, seen: Seen, model: str, measure: str, value: float) -> Sequence[Finding]:
        sample = kept(self._samples, (seen.agent, model, measure), _Sample, SAMPLES_MAX)
        size = self.settings_of("").window
        if len(sample.reference) < size:
            sample.reference.append(value)
            return NOTHING
        sample.latest.append(value)
        return self._compare(seen, model, measure, sample, size) if len(sample.latest) >= size else NOTHING

    def _compare(self, seen: Seen, model: str, measure: str, sample: _Sample, size: int) -> Sequence[Finding]:
        reference, latest = sample.reference[-size:], sample.latest[-size:]
        sample.latest = []
        p = p_value(reference, latest)
        if p >= self.settings_of(seen.agent).p / len(MEASURES):
            return NOTHING
        sample.reference = latest  # told once; from now on this is what is usual
        before, now = median(reference), median(latest)
        text = f"{seen.agent} with {model} behaves otherwise: {MEASURES[measure]} {before:,.0f} before, now {now:,.0f}"
        evidence = {"model": model, "measure": measure, "before": before, "now": now, "p": p}
        return [_found(seen, text, f"drift:{seen.agent}:{model}:{measure}:{seen.at:.0f}", evidence)]

    def dump(self) -> Any:
        """Numbers, names and fingerprints."""
        models = {name: [one.turns, one.fingerprints] for name, one in self._models.items()}
        samples = [[*key, one.reference, one.latest] for key, one in self._samples.items()]
        return [models, samples, self._asked]

    def load(self, state: Any) -> None:
        """See `Detector`."""
        models, samples, asked = state
        for name, (turns, fingerprints) in models.items():
            self._models[name] = _Model(int(turns), {one: float(at) for one, at in fingerprints.items()})
        for agent, model, measure, reference, latest in samples:
            sample = _Sample(list(map(float, reference)), list(map(float, latest)))
            self._samples[agent, model, measure] = sample
        self._asked = {str(run): str(model) for run, model in asked.items()}


def _found(seen: Seen, text: str, key: str, evidence: dict[str, Any]) -> Finding:
    return Finding(
        detector="drift",
        severity=Severity.WARN,
        text=f"model drift: {text}",
        key=key,
        runs=(seen.run,),
        agents=(seen.agent,),
        evidence=evidence,
    )
