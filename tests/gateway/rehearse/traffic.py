"""Made-up recordings: a period of turns and questions from a seed."""

from __future__ import annotations

import random
from typing import Any

from opsconsole.domain.usage import Usage
from opsconsole.gateway.rehearse.recorded import Question, Recording, Turn


def recording(
    *, seed: int = 1, runs: int = 4, turns: int = 20, tokens: int = 1_000, questions: int = 0, events: int = 0
) -> Recording:
    """Runs within an hour; each turn of `tokens`, give or take a fifth."""
    dice = random.Random(seed)
    made: list[Turn] = []
    for run in range(runs):
        at = 1_000.0 + dice.uniform(0, 600)
        for _ in range(turns):
            used = round(tokens * dice.uniform(0.8, 1.2))
            usage = Usage(turns=1, input_tokens=used * 9 // 10, output_tokens=used // 10)
            made.append(Turn(run=f"r{run}", at=at, seconds=4.0, provider="openai", model="gpt-4o", usage=usage))
            at += 4.0 + dice.expovariate(1 / 30)
    asked = [
        Question(run="r0", at=1_000.0 + dice.uniform(0, 3_000), seconds=dice.uniform(10, 200), by="ana")
        for _ in range(questions)
    ]
    times = tuple(1_000.0 + dice.uniform(0, 3_000) for _ in range(events))
    return Recording(turns=tuple(made), questions=tuple(asked), events=times)


def row(at: float, **event: Any) -> dict[str, Any]:
    """One line of a timeline."""
    return {"position": 1, "gen": "g", "at": at, "event": event}
