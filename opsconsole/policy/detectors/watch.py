"""Runs detectors over what is seen, each observation to those that watch for it, and tells the same trouble once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from opsconsole.policy.detectors.bounded import put
from opsconsole.policy.detectors.finding import NOTHING, Detector, Finding, SettingsOf, Severity
from opsconsole.policy.detectors.observation import Closed, Seen
from opsconsole.policy.detectors.registry import REGISTRY, Entry
from opsconsole.policy.detectors.tuning import Answer, Tuning, has_thresholds
from opsconsole.policy.file.settings import DetectorSettings

TOLD_MAX = {"run": 200, "fleet": 10_000}
"""Troubles remembered as told."""
TOLD_AGAIN_SECONDS = 3_600.0
"""What still goes on after an hour is told once more."""
STATE_VERSION = 1
"""Of dumps; another version's is not read, and its windows begin anew."""


class Watch:
    """The detectors of one scope over one memory: of a run, or of the fleet."""

    __slots__ = ("_detectors", "_scope", "_told", "_watching")

    def __init__(self, scope: Literal["run", "fleet"], settings_of: SettingsOf[DetectorSettings]) -> None:
        self._scope = scope
        self._told: dict[str, tuple[Severity, int, float]] = {}
        """Key -> how grave it was, how many runs it was about, when it was told."""
        self._detectors: dict[str, Detector] = {}
        self._watching: dict[type[Seen], list[Callable[[Seen], Sequence[Finding]]]] = {}
        self._make(settings_of, None)

    def observe(self, seen: Seen) -> Sequence[Finding]:
        """What this brings to light that was not told yet."""
        told: Sequence[Finding] = NOTHING
        for observe in self._watching.get(type(seen), ()):
            if found := observe(seen):
                told = [*told, *(one for one in found if self._is_news(one, seen.at))]
        return told

    def retune(self, settings_of: SettingsOf[DetectorSettings]) -> None:
        """Other settings from now on, over the same memory."""
        self._make(settings_of, self.dump())

    def rearm(self, key: str) -> None:
        """The trouble was dealt with: should it come back, it is told again."""
        self._told.pop(key, None)

    def dump(self) -> dict[str, Any]:
        """The memory as JSON values: digests, names, counts and times."""
        told = {key: [str(severity), runs, at] for key, (severity, runs, at) in self._told.items()}
        memories = {name: detector.dump() for name, detector in self._detectors.items()}
        return {"version": STATE_VERSION, "told": told, "memories": memories}

    @classmethod
    def load(cls, scope: Literal["run", "fleet"], settings_of: SettingsOf[DetectorSettings], state: Any) -> Watch:
        """Put back what `dump` gave. What cannot be read begins anew: a window is lost, not the hub."""
        watch = cls(scope, settings_of)
        if isinstance(state, dict) and state.get("version") == STATE_VERSION:
            watch._make(settings_of, state)
        return watch

    def _make(self, settings_of: SettingsOf[DetectorSettings], state: dict[str, Any] | None) -> None:
        self._detectors.clear()
        self._watching.clear()
        memories = (state or {}).get("memories")
        for entry in REGISTRY:
            if entry.scope != self._scope:
                continue
            detector = _remembering(entry, settings_of, memories)
            if detector is None:
                continue
            self._detectors[entry.name] = detector
            for kind in detector.watches:
                self._watching.setdefault(kind, []).append(detector.observe)
        if state is not None:
            self._told = _told(state.get("told"))

    def _is_news(self, finding: Finding, at: float) -> bool:
        told = self._told.get(finding.key)
        grave, runs = finding.severity, len(finding.runs)
        if told is not None:
            is_graver = grave is Severity.TRIP and told[0] is Severity.WARN
            if not is_graver and runs <= told[1] and at - told[2] < TOLD_AGAIN_SECONDS:
                return False
        put(self._told, finding.key, (grave, runs, at), TOLD_MAX[self._scope])
        return True


class Detectors:
    """All detectors over a fleet: a memory for each run, and one for what runs share."""

    def __init__(self, settings: DetectorSettings, tuning: Tuning | None = None) -> None:
        self.settings = settings
        self.tuning = tuning or Tuning()
        self._runs: dict[str, Watch] = {}
        self.fleet = Watch("fleet", self._settings_of)

    def _settings_of(self, agent: str) -> DetectorSettings:
        return self.tuning.settings_for(agent, self.settings)

    def _settings_in(self, agent: str) -> SettingsOf[DetectorSettings]:
        settings = self._settings_of(agent)
        return lambda _: settings

    def observe(self, seen: Seen) -> Sequence[Finding]:
        """Everything that this brings to light and that was not told yet; the caller forgets runs that have ended."""
        run = self._runs.get(seen.run)
        if run is None:
            if not seen.run or isinstance(seen, Closed):
                return self.fleet.observe(seen)
            run = self._runs[seen.run] = Watch("run", self._settings_in(seen.agent))
        found, shared = run.observe(seen), self.fleet.observe(seen)
        return [*found, *shared] if found or shared else NOTHING

    def forget(self, run: str) -> None:
        """The run is over: its memory goes."""
        self._runs.pop(run, None)

    def retune(self, settings: DetectorSettings, agents: Mapping[str, str]) -> None:
        """Other settings from now on, as after a reload of the policy; `agents` is the agent of each run."""
        self.settings = settings
        self.fleet.retune(self._settings_of)
        for run, agent in agents.items():
            self._retune(run, agent)

    def answer(self, finding: Finding, answer: Answer, agents: Mapping[str, str]) -> None:
        """Take an operator's answer to a finding; `agents` is the agent of each run."""
        for agent in finding.agents or ("",):
            if has_thresholds(finding.detector):
                self.tuning.answer(agent, finding.detector, answer)
        for run, agent in agents.items():
            if agent in finding.agents:
                self._retune(run, agent)
        if answer is Answer.REAL:
            self.rearm(finding)

    def _retune(self, run: str, agent: str) -> None:
        if watch := self._runs.get(run):
            watch.retune(self._settings_in(agent))

    def rearm(self, finding: Finding) -> None:
        """The trouble was dealt with: should it come back, it is told again."""
        self.fleet.rearm(finding.key)
        for run in finding.runs:
            if watch := self._runs.get(run):
                watch.rearm(finding.key)

    def dump_run(self, run: str) -> dict[str, Any] | None:
        """A run's memory for its record, or None where nothing was seen of it."""
        watch = self._runs.get(run)
        return None if watch is None else watch.dump()

    def load_run(self, run: str, agent: str, state: Any) -> None:
        """Put a run's memory back."""
        self._runs[run] = Watch.load("run", self._settings_in(agent), state)

    def load_fleet(self, state: Any) -> None:
        """Put back what `fleet.dump()` gave."""
        self.fleet = Watch.load("fleet", self._settings_of, state)


def _remembering(entry: Entry, settings_of: SettingsOf[DetectorSettings], memories: Any) -> Detector | None:
    detector = entry.make(settings_of)
    if detector is None or not isinstance(memories, dict) or entry.name not in memories:
        return detector
    try:
        detector.load(memories[entry.name])
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError):
        return entry.make(settings_of)
    return detector


def _told(state: Any) -> dict[str, tuple[Severity, int, float]]:
    try:
        return {str(key): (Severity(grave), int(runs), float(at)) for key, (grave, runs, at) in state.items()}
    except (TypeError, ValueError, AttributeError):
        return {}
