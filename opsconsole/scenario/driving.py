"""Drives a team's own agent, a callable or a command, against a case's answers, and tells what came of it."""

from __future__ import annotations

import asyncio
import inspect
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread
from typing import Any

from opsconsole.domain.text import safe
from opsconsole.policy.interface import Policy
from opsconsole.scenario.case import Scenario
from opsconsole.scenario.model_server import KEY, ModelServer, serving
from opsconsole.scenario.playing import People, Playing
from opsconsole.scenario.replay import Replayed, replay
from opsconsole.scenario.report import CaseReport, report_on, text_of

TIMEOUT_SECONDS = 60.0
"""An agent against answers that come at once has no reason to take longer."""
OUTPUT_CHARS = 2_000
"""Of a command's last words that a failure shows."""

Agent = Callable[..., Any] | Sequence[str]
"""A function, of one argument (`Model`) or none, `async` or not; or a command with its arguments."""


class AgentFailed(Exception):
    """The agent did not come to an end by itself: it raised, left with a status, or took too long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """Where a driven agent finds its model, and what it was asked to do then."""

    url: str
    """Without a path; `openai_url` and `anthropic_url` are what the official clients call their base URL."""
    task: str
    """The user's first words in the recording."""
    environment: Mapping[str, str]
    key: str = KEY

    @property
    def openai_url(self) -> str:
        """For Chat Completions and Responses."""
        return f"{self.url}/v1"

    @property
    def anthropic_url(self) -> str:
        """For Messages."""
        return self.url


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRun:
    """What a driven agent has done."""

    report: CaseReport
    answers: int
    """Of the case."""
    over: int
    """Requests for an answer that the case does not have: the agent went on where the recorded one ended."""
    returned: Any = None
    """What the callable gave, or the command's standard output."""

    @property
    def passed(self) -> bool:
        """Whether every expectation holds."""
        return self.report.passed

    @property
    def replayed(self) -> Replayed:
        """Every call, its verdict and its result."""
        return self.report.replayed

    def __str__(self) -> str:
        text = text_of(self.report)
        went_on = f"\n  it asked the model {self.over} more times than the recording has answers ({self.answers})"
        return text + (went_on if self.over else "")


def drive(
    path: str,
    scenario: Scenario,
    policy: Policy,
    agent: Agent,
    *,
    people: People = "recorded",
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> LiveRun:
    """Lets the agent run to its end.

    Raises: AgentFailed. Not for an agent that ends with an error because it asked for more than the recording has:
    that it went on is told in the report.
    """
    playing = Playing(scenario, policy, people)
    with serving(playing) as server:
        try:
            returned = _run(agent, server, scenario, timeout_seconds)
        except AgentFailed:
            if not playing.over:
                raise
            returned = None
    replayed = replay(playing.made(), policy, left_alone=not playing.over)
    return LiveRun(report=report_on(path, replayed), answers=len(playing.answers), over=playing.over, returned=returned)


def _run(agent: Agent, server: ModelServer, scenario: Scenario, seconds: float) -> Any:
    model = Model(url=server.url, task=scenario.task, environment=server.environment)
    return _call(agent, model, seconds) if callable(agent) else _start(agent, model, seconds)


def _start(command: Sequence[str], model: Model, seconds: float) -> str:
    given = {"OPSCONSOLE_CASE_TASK": model.task}
    try:
        done = subprocess.run(
            list(command),
            env={**os.environ, **model.environment, **given},
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise AgentFailed(f"{command[0]} had not ended after {seconds:g} s") from None
    except OSError as error:
        raise AgentFailed(f"{command[0]} could not be started: {error.strerror}") from None
    if done.returncode:
        said = safe(done.stderr.decode(errors="replace")[-OUTPUT_CHARS:])
        raise AgentFailed(f"{command[0]} ended with status {done.returncode}:\n{said}")
    return done.stdout.decode(errors="replace")


def _call(agent: Callable[..., Any], model: Model, seconds: float) -> Any:
    """In a thread of its own: an agent may start an event loop, and one that hangs is left behind."""
    outcome: Future[Any] = Future()
    with _environment(model.environment):
        Thread(target=_work, args=(agent, model, outcome), daemon=True).start()
        wait([outcome], seconds)
    if not outcome.done():
        raise AgentFailed(f"the agent had not ended after {seconds:g} s")
    if error := outcome.exception():
        raise AgentFailed(f"the agent raised {type(error).__name__}: {error}") from error
    return outcome.result()


def _work(agent: Callable[..., Any], model: Model, outcome: Future[Any]) -> None:
    try:
        given = agent(model) if _wants_model(agent) else agent()
        outcome.set_result(asyncio.run(_awaited(given)) if inspect.isawaitable(given) else given)
    except (Exception, SystemExit) as error:  # the agent's thread ends here; what it raised is told by who waits
        outcome.set_exception(error)


def _wants_model(agent: Callable[..., Any]) -> bool:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(
        one.kind in kinds and one.default is inspect.Parameter.empty
        for one in inspect.signature(agent).parameters.values()
    )


async def _awaited(given: Any) -> Any:
    return await given


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """The variables, for as long as the block lasts."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
