"""Runs small agents of real clients side by side, as told by lines of JSON; it knows nothing of opsconsole."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

PROGRAMS = {
    "openai.chat": "chat:Chat",
    "openai.responses": "responses:Responses",
    "anthropic.messages": "messages:Messages",
    "langchain.openai": "frameworks:LangChainOpenAI",
    "langchain.anthropic": "frameworks:LangChainAnthropic",
    "agents.chat": "frameworks:AgentsChat",
    "agents.responses": "frameworks:AgentsResponses",
}
"""What a task may run, and where that is."""
TURNS_MAX = 12
"""An agent that is still at it then has lost its way."""

OUT = threading.Lock()
IMPORTING = threading.RLock()


def import_one_at_a_time() -> None:
    """Clients import their parts at the first use, in whatever thread that is, and where two threads begin parts of one
    package Python may end one of them with a deadlock error. Agents here begin at once, and that is not their test.
    The wrapped function is the one that all imports of modules not yet there pass, native code's too."""
    begin: Callable[..., Any] = importlib._bootstrap._find_and_load

    def alone(name: str, *more: Any) -> Any:
        with IMPORTING:
            return begin(name, *more)

    importlib._bootstrap._find_and_load = alone


class Said:
    """What one agent does, told as it happens and in sum at its end."""

    def __init__(self, task: dict[str, Any]) -> None:
        self.task = task
        self.texts: list[str] = []
        self.ran: list[list[Any]] = []

    def tell(self, what: str, **more: Any) -> None:
        """One line to whoever watches."""
        line = json.dumps({"id": self.task["id"], "what": what, "at": time.monotonic(), **more})
        with OUT:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()

    def piece(self, text: str) -> None:
        """Some words of the model."""
        if text:
            self.tell("piece", text=text)

    def answered(self, text: str) -> None:
        """A whole answer."""
        self.texts.append(text)
        self.tell("answer", text=text)

    def run_tool(self, name: str, arguments: Any) -> str:
        """Runs a tool: that it ran is all it does."""
        arguments = json.loads(arguments or "{}") if isinstance(arguments, str) else arguments
        self.ran.append([name, arguments])
        self.tell("ran", name=name, args=arguments)
        return f"{name} is done"


def loop(agent: Any, said: Said) -> None:
    """An agent of a synchronous client: asks, runs what the model wants, asks again."""
    for _ in range(said.task.get("turns_max", TURNS_MAX)):
        answer = agent.ask(said)
        said.answered(agent.text(answer))
        calls = agent.calls(answer)
        agent.take(answer, [(call, said.run_tool(name, arguments)) for call, name, arguments in calls])
        if not calls:
            return


async def loop_async(agent: Any, said: Said) -> None:
    """The same with an asynchronous client."""
    for _ in range(said.task.get("turns_max", TURNS_MAX)):
        answer = await agent.ask_async(said)
        said.answered(agent.text(answer))
        calls = agent.calls(answer)
        agent.take(answer, [(call, said.run_tool(name, arguments)) for call, name, arguments in calls])
        if not calls:
            return


def described(error: BaseException) -> dict[str, Any]:
    """What a client makes of a failure."""
    return {
        "type": type(error).__name__,
        "kinds": [kind.__name__ for kind in type(error).__mro__],
        "status": getattr(error, "status_code", None),
        "message": str(error)[:2_000],
        "trace": traceback.format_exc()[-4_000:],
    }


def _program(task: dict[str, Any]) -> Callable[..., Any]:
    module, _, name = PROGRAMS[task["program"]].partition(":")
    program: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return program


def _ended(said: Said, error: BaseException | None) -> None:
    said.tell("end", texts=said.texts, ran=said.ran, error=error and described(error))


def _perform(program: Callable[..., Any], task: dict[str, Any]) -> None:
    """One task in a thread of its own."""
    said = Said(task)
    try:
        agent = program(task)
        if hasattr(agent, "run_async"):
            asyncio.run(agent.run_async(said))
        elif task.get("sync"):
            loop(agent, said)
        else:
            asyncio.run(loop_async(agent, said))
    except BaseException as error:  # the task ends here, and its error is what it is asked for
        _ended(said, error)
        return
    _ended(said, None)


def main() -> None:
    """Reads tasks until there are no more; ends without waiting for those that hang."""
    import_one_at_a_time()
    print(json.dumps({"id": "", "what": "ready"}), flush=True)
    for line in sys.stdin:
        task = json.loads(line)
        threading.Thread(target=_perform, args=(_program(task), task), daemon=True).start()


if __name__ == "__main__":
    main()
