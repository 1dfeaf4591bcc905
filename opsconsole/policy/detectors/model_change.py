"""Model drift, first part: the answer comes from another model than was asked for, or from another than before."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from opsconsole.policy.detectors.bounded import put
from opsconsole.policy.detectors.finding import NOTHING, Finding, Severity
from opsconsole.policy.detectors.observation import Seen, TurnEnded
from opsconsole.policy.file.settings import Action, DriftSettings

MODELS_MAX = 32
"""Models asked for in one run."""
_DATED = re.compile(r"[-@_:](?:latest|preview|\d{8}|\d{4}-\d\d-\d\d|\d{4}|\d{3}|v\d+(?::\d+)?)$")
_PLACES = ("global.", "us.", "eu.", "apac.")


class ModelChange:
    """One run's."""

    watches: ClassVar[tuple[type[Seen], ...]] = (TurnEnded,)

    def __init__(self, settings: DriftSettings) -> None:
        self.settings = settings
        self._served: dict[str, str] = {}
        """Agent and model asked for -> the model that answered last."""

    def observe(self, seen: Seen) -> Sequence[Finding]:
        """Looks at turns that say which model answered."""
        assert isinstance(seen, TurnEnded)
        served = seen.served_model
        if not served or self.settings.model_change is Action.OFF:
            return NOTHING
        asked = f"{seen.agent}\0{seen.model}"
        before = self._served.get(asked)
        if served == before:
            return NOTHING
        put(self._served, asked, served, MODELS_MAX)
        if before is not None:
            return self._found(seen, f"{before} answered before, now {served}")
        if not is_family(seen.model, served):
            return self._found(seen, f"asked for {seen.model}, answered by {served}")
        return NOTHING

    def _found(self, seen: TurnEnded, text: str) -> Sequence[Finding]:
        return (
            Finding(
                detector="drift",
                severity=Severity.TRIP if self.settings.model_change is Action.TRIP else Severity.WARN,
                text=f"model changed: {text}",
                key=f"drift:{seen.run}:{seen.agent}:{seen.model}:{seen.served_model}",
                runs=(seen.run,),
                agents=(seen.agent,),
                evidence={"model": seen.model, "served_model": seen.served_model, "provider": seen.provider},
            ),
        )

    def dump(self) -> Any:
        """Names of models."""
        return self._served

    def load(self, state: Any) -> None:
        """See `Detector`."""
        self._served = {str(asked): str(served) for asked, served in state.items()}


def is_family(asked: str, served: str) -> bool:
    """Whether a model is the one asked for, or a dated version of it: `gpt-5` and `gpt-5-2025-08-07` are one family.

    Other sizes are not: `gpt-5-mini` is no `gpt-5`.
    """
    return family(asked) == family(served)


def family(model: str) -> str:
    """The name without provider, place and date."""
    name = model.rsplit("/", 1)[-1].strip().lower()
    for place in _PLACES:
        name = name.removeprefix(place)
    for provider in ("anthropic.", "meta.", "amazon.", "mistral.", "cohere."):
        name = name.removeprefix(provider)
    while shorter := _DATED.sub("", name):
        if shorter == name:
            break
        name = shorter
    return name
