"""One supervised command: start, watch, freeze, kill with proof; it knows no hub and decides nothing by itself.

Two processes watch each other. This one (the supervisor) is a subreaper and runs the ladder; a small second one (the
reaper) is the command's parent, a subreaper too, and does the work on processes. When this one is killed, the reaper
kills the tree and leaves a receipt; when the reaper is killed, the tree falls to this one, which kills it.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import time
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from opsconsole.errors import CannotStart, SupervisorError, UnsupportedPlatform
from opsconsole.supervisor import cgroup, kernel, receipts, sweep
from opsconsole.supervisor.channel import Channel, Message, ReaperLost
from opsconsole.supervisor.climb import Climb, Cooperative
from opsconsole.supervisor.custody import AdoptedTree, LostTree
from opsconsole.supervisor.ladder import LadderSettings
from opsconsole.supervisor.launch import cannot_start, start_order, start_reaper, with_token
from opsconsole.supervisor.processes import Identity, ProcessInfo
from opsconsole.supervisor.receipts import Exit, FreezeReceipt, KillReceipt
from opsconsole.supervisor.tail import Tail
from opsconsole.supervisor.terminal import Terminal, wire
from opsconsole.supervisor.tree import census, process_table

Outlive = Literal["kill", "leave"]

START_SECONDS = 20.0
"""A reaper that has not started the command by then, on however busy a machine, will not."""

ANSWER_SECONDS = 5.0
"""The reaper answers in milliseconds; one that says nothing for so long is stopped or hung."""

KILL_GRACE_SECONDS = 0.5
"""On top of the time to verify: then a silent reaper is killed with its tree."""

DRAIN_SECONDS = 1.0
"""The rest of a dead command's output is read at once, unless the user's terminal is stalled."""

_reapers: set[Identity] = set()
"""Every live reaper of this process: never taken for an orphan of another's tree."""


class SupervisedProcess:
    """A command and everything it started. Made by `start`; all methods are for one event loop.

    `pid` is the command's, `started_at` seconds since the epoch, `cgroup` its cgroup's directory if it has one. The
    process that uses it starts no other children in sessions of their own meanwhile: should the reaper be killed,
    they could not be told from the tree's orphans.
    """

    pid: int
    started_at: float

    def __init__(
        self, *, settings: LadderSettings, outlive: Outlive, capabilities: kernel.Capabilities, terminal: Terminal
    ) -> None:
        loop = asyncio.get_running_loop()
        self.capabilities = capabilities
        self.terminal = terminal
        self.empty = False
        self.frozen = False
        self._settings = settings
        self._outlive = outlive
        self._token = secrets.token_hex(8)
        self._table = process_table()
        self._others = {info.identity for info in map(self._table.look, self._table.children(os.getpid())) if info}
        self._begun: asyncio.Future[Message] = loop.create_future()
        self._exit: asyncio.Future[Exit] = loop.create_future()
        self._channel = Channel(self._heard)
        self._reaper: asyncio.subprocess.Process
        self._identity: Identity
        self._main = Identity(0, 0)
        self._adopted: AdoptedTree | None = None
        self.cgroup: str | None = None
        self._climb: Climb | None = None
        self._kill: asyncio.Task[KillReceipt] | None = None
        self._takeover: asyncio.Task[sweep.Swept] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._released = False

    @classmethod
    async def start(
        cls,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        settings: LadderSettings | None = None,
        receipt_path: Path,
        key: str | None = None,
        outlive: Outlive = "kill",
        stdio: tuple[int, int, int] = (0, 1, 2),
        capabilities: kernel.Capabilities | None = None,
    ) -> Self:
        """Starts `argv` in a session of its own, with its streams joined to the handles `stdio`.

        `receipt_path` is where the reaper says what it did if this process is killed, with the `key` once nothing of
        the tree is left. `outlive` says what becomes of
        processes that outlive the command: killed, or reported and left. This process becomes a subreaper for good.
        Raises: CannotStart, with the OSError as its cause; UnsupportedPlatform.
        """
        able = capabilities or kernel.capabilities()
        if not able.supported:
            raise UnsupportedPlatform("processes are supervised on Linux and macOS; on Windows, run opsconsole in WSL")
        if not argv:
            raise CannotStart("cannot start: no command given")
        made = cls(
            settings=settings or LadderSettings(), outlive=outlive, capabilities=able, terminal=wire(stdio, Tail())
        )
        order = start_order(argv, cwd=cwd, receipt_path=receipt_path, outlive=outlive, key=key)
        try:
            await made._launch(order, os.environ if env is None else env)
        except BaseException:
            await made._abandon()
            raise
        return made

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def lost(self) -> bool:
        """Whether the reaper is lost: the tree has been struck, or is being struck, by this process."""
        return self._takeover is not None

    async def wait(self) -> Exit:
        """Waits for the command's end, for the end of what outlived it, and for its last output."""
        return await asyncio.shield(self._exit)

    async def freeze(self) -> FreezeReceipt:
        """Stops every process of the tree (SIGSTOP) until `thaw`. Raises: SupervisorError if the reaper is silent."""
        self.frozen = True
        self._changed()
        answer = await self._channel.ask("freeze", timeout_seconds=ANSWER_SECONDS)
        return receipts.freeze_receipt(answer, frozen=True)

    async def thaw(self) -> FreezeReceipt:
        """Lets a frozen tree go on. Raises: SupervisorError while a kill is under way, or if the reaper is silent."""
        if self._kill is not None and not self._kill.done():
            raise SupervisorError("a kill is under way: nothing of the tree runs again")
        answer = await self._channel.ask("thaw", timeout_seconds=ANSWER_SECONDS)
        self.frozen = False
        return receipts.freeze_receipt(answer, frozen=False)

    async def signal(self, number: int) -> bool:
        """Sends a signal to the command's process group, as its terminal would; False when it has ended."""
        try:
            answer = await self._channel.ask("signal", number=int(number), timeout_seconds=ANSWER_SECONDS)
        except ReaperLost:
            return False
        return bool(answer["sent"])

    async def tree(self) -> list[ProcessInfo]:
        """Lists the live processes of the tree, parents first; empty when it is dead. Raises: SupervisorError."""
        if self.empty:
            return []
        if self._adopted is not None:
            return await asyncio.to_thread(census, self._table, self._adopted.roots)
        answer = await self._channel.ask("tree", timeout_seconds=ANSWER_SECONDS)
        return list(receipts.processes(answer["processes"]))

    async def kill(self, *, now: bool, cooperative: Cooperative | None = None) -> KillReceipt:
        """Kills the tree and proves it. `cooperative` asks the command to end by itself and tells whether it agreed;
        `now` goes to freeze-and-kill at once. A kill under way is joined, and hurried by `now`; cancelling the caller
        does not stop it."""
        if self._kill is None or self._climb is None or self._kill.done():
            self._climb = Climb(self, self._settings, cooperative=cooperative, now=now)
            self._kill = asyncio.create_task(self._climb.run())
        elif now:
            self._climb.hurry()
        return await asyncio.shield(self._kill)

    async def close(self) -> None:
        """Lets go of the tree: what is left of it is killed, or goes on with `outlive="leave"` once the command has
        ended. Returns when the reaper has ended."""
        if not self.empty and not (self._outlive == "leave" and self._exit.done()):
            await self.kill(now=True)
        await self._release()
        if self._takeover is not None:
            await asyncio.shield(self._takeover)
        if self._tasks:
            await asyncio.wait(self._tasks)
        self.terminal.close()

    async def terminate(self) -> None:
        """Sends SIGTERM to the whole tree: the ladder's second rung, no kill by itself."""
        try:
            await self._channel.ask("term", timeout_seconds=ANSWER_SECONDS)
        except ReaperLost:
            await self._take_over()

    async def strike(self) -> sweep.Swept:
        """Freezes, kills and verifies the tree: the ladder's last rung."""
        if self._takeover is not None or self._reaper_is_stopped():
            return await self._take_over()
        try:
            patience = self._settings.verify_ms / 1000 + KILL_GRACE_SECONDS
            answer = await self._channel.ask("kill", timeout_seconds=patience)
        except ReaperLost:
            return await self._take_over()
        return receipts.swept(answer)

    def _reaper_is_stopped(self) -> bool:
        """Who is stopped answers nobody, and a kill need not wait to learn it."""
        info = self._table.look(self._identity.pid)
        return info is not None and info.identity == self._identity and info.stopped and not info.dead

    async def _launch(self, order: Message, environment: Mapping[str, str]) -> None:
        if self.capabilities.subreaper:
            kernel.become_subreaper()
        stdio, watched = self.terminal.stdio, self.terminal.user_terminal
        ours, theirs = socket.socketpair()
        handles = {*stdio, *(() if watched is None else (watched,))}
        self.terminal.open()
        with theirs:
            self._reaper = await start_reaper(theirs, [*handles], with_token(environment, self._token))
        self.terminal.handed_over()
        info = self._table.look(self._reaper.pid)
        self._identity = info.identity if info else Identity(self._reaper.pid, 0)
        _reapers.add(self._identity)
        await self._channel.open(ours)
        self._begin(self._guard())
        self._channel.tell(
            {
                **order,
                "stdio": stdio,
                "controlling": self.terminal.controlling,
                "terminal": self.terminal.saved(),
                "token": self._token,
                "subreaper": self.capabilities.subreaper,
                "cgroup": self._settings.cgroup and self.capabilities.subreaper and self._outlive == "kill",
                "verify_seconds": self._settings.verify_ms / 1000,
            }
        )
        await self._await_start(order)

    async def _abandon(self) -> None:
        """Leaves nothing behind of a start that failed or was cancelled: a reaper without a channel kills its tree."""
        self._released = True
        self.terminal.handed_over()
        self.terminal.close()
        await self._channel.close()

    async def _await_start(self, order: Message) -> None:
        try:
            async with asyncio.timeout(START_SECONDS):
                said = await asyncio.shield(self._begun)
        except TimeoutError:
            said = {"event": "cannot_start", "stage": "reaper", "errno": 0, "why": "its reaper is silent"}
        if said["event"] == "cannot_start":
            self._released = True
            if said["stage"] == "reaper":
                await self._sweep_adopted()  # it may have started the command before it was lost
            else:
                await self._reaper.wait()
            raise cannot_start(order["argv"], order["cwd"], said)

    def _heard(self, message: Message) -> None:
        match message["event"]:
            case "started" if not self._begun.done():
                self.pid, self.cgroup, self.started_at = message["pid"], message["cgroup"], time.time()
                self._main = Identity(self.pid, message["start"])
                self._begun.set_result(message)
            case "cannot_start" if not self._begun.done():
                self._begun.set_result(message)
            case "exit":
                self.empty = self.empty or message["empty"]
                self._begin(self._finish(receipts.exit_of(message)))
            case "empty":
                self.empty = True
        self._changed()

    def _changed(self) -> None:
        if self._climb is not None:
            self._climb.look()

    async def _guard(self) -> None:
        """Notices the reaper's end."""
        await self._reaper.wait()
        _reapers.discard(self._identity)
        if not self._begun.done():
            self._begun.set_result({"event": "cannot_start", "stage": "reaper", "errno": 0, "why": "its reaper ended"})
        elif not self._released:
            await self._take_over()

    async def _take_over(self) -> sweep.Swept:
        if self._takeover is None or (self._takeover.done() and not self.empty):
            self._takeover = asyncio.create_task(self._clear_adopted())
            self._changed()
        return await asyncio.shield(self._takeover)

    async def _clear_adopted(self) -> sweep.Swept:
        tree, swept = await self._sweep_adopted()
        self.empty = swept.empty
        self._changed()
        self._begin(self._finish(receipts.exit_after_takeover(tree.status, tree.usage, swept, main=self._main)))
        return swept

    async def _sweep_adopted(self) -> tuple[AdoptedTree, sweep.Swept]:
        tree = self._adopted = self._adopted or self._inherit()
        swept = await asyncio.to_thread(sweep.kill, tree, verify_seconds=self._settings.verify_ms / 1000)
        if tree.cgroup is not None:
            await asyncio.to_thread(tree.cgroup.remove)
        return tree, receipts.without(swept, self._identity)

    def _inherit(self) -> AdoptedTree:
        if self.capabilities.subreaper:
            tree = AdoptedTree(self._table, reaper=self._identity, main=self._main, others=self._foreign)
        else:
            tree = LostTree(
                self._table, reaper=self._identity, main=self._main, others=self._foreign, token=self._token
            )
        tree.cgroup = cgroup.find(cgroup.name_of(self._token))
        return tree

    def _foreign(self) -> set[Identity]:
        return self._others | _reapers - {self._identity}

    async def _finish(self, exit: Exit) -> None:
        await asyncio.to_thread(self.terminal.drain, DRAIN_SECONDS if exit.empty else 0.1)
        if not self._exit.done():
            self._exit.set_result(receipts.with_output(exit, self.terminal.tail.lines()))
        if exit.empty:
            await self._release()

    async def _release(self) -> None:
        if not self._released:
            self._released = True
            try:
                await self._channel.ask("release", timeout_seconds=ANSWER_SECONDS)
            except ReaperLost:
                pass
            await self._channel.close()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
