"""The inner process: starts one command under a subreaper, reaps, freezes and kills its tree; no asyncio, no rules.

It speaks JSON lines on one socket with its supervisor. When that closes, it kills the tree and leaves a receipt.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from opsconsole.supervisor import cgroup, kernel, sweep
from opsconsole.supervisor.custody import OwnTree, TrackedTree
from opsconsole.supervisor.processes import ProcessInfo
from opsconsole.supervisor.tree import census, process_table

WATCH_SECONDS = 0.2
"""Only without a subreaper: how often the tree is looked at (a look costs milliseconds). With one, nothing polls."""

LISTED_MAX = 1000
"""A message lists no more processes than this; the counts beside the lists are exact."""

READ_BYTES = 65536
QUIET = (signal.SIGCHLD, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
"""Handled by waking up, so that a stray signal ends nobody; exec gives the command the defaults back."""

Message = dict[str, Any]


class Reaper:
    """One command and its tree, from start to proven end. `run` returns when there is nothing left to keep."""

    def __init__(self, control: int, supervisor: int) -> None:
        self._control = control
        self._supervisor = supervisor
        self._wakeup, wake = _pipe()
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        for number in QUIET:
            if signal.getsignal(number) is not signal.SIG_IGN or number == signal.SIGCHLD:
                signal.signal(number, lambda *_: None)
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)
        self._poll.register(self._wakeup, select.POLLIN)
        self._deaths = select.poll()
        self._deaths.register(self._wakeup, select.POLLIN)
        self._received = b""
        self._tree: OwnTree
        self._frozen: sweep.Frozen | None = None
        self._laddered = False
        self._told_exit = False
        self._told_empty = False
        self._released = False

    def run(self) -> None:
        """Serves the supervisor until it lets go or is lost."""
        order = self._first_order()
        if order is None:
            return
        verify = float(order["verify_seconds"])
        if self._start(order):
            while not self._released:
                if not self._serve(order, verify):
                    self._supervisor_lost(order, verify)
                    break
        if self._tree.cgroup is not None:
            self._tree.cgroup.remove()

    def _first_order(self) -> Message | None:
        while b"\n" not in self._received:
            data = os.read(self._control, READ_BYTES)
            if not data:
                return None
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        order: Message = json.loads(line)
        return order

    def _start(self, order: Message) -> bool:
        table = process_table()
        kernel.keep_memory_private()
        proven = order["subreaper"] and kernel.become_subreaper()
        wait = self._wait_for_death
        self._tree = OwnTree(table, wait=wait) if proven else TrackedTree(table, wait=wait, token=order["token"])
        self._tree.cgroup = cgroup.make(cgroup.name_of(order["token"])) if order["cgroup"] else None
        kernel.die_with_parent(signal.SIGUSR1)
        failure = self._spawn(order)
        for handle in set(order["stdio"]):
            os.close(handle)
        if failure is not None:
            self._tell(event="cannot_start", **failure)
            return False
        info = table.look(self._tree.main)
        start = info.start if info is not None else 0
        group = self._tree.cgroup
        self._tell(
            event="started", pid=self._tree.main, start=start, proven=proven, cgroup=group.path if group else None
        )
        return True

    def _spawn(self, order: Message) -> Message | None:
        kernel.load()
        told, tell = _pipe(blocking=True)
        reaper = os.getpid()
        pid = os.fork()
        if pid == 0:
            _become(order, self._tree.cgroup, reaper, tell)
        os.close(tell)
        self._tree.main = pid
        said = os.read(told, READ_BYTES)
        os.close(told)
        if not said:
            return None
        os.waitpid(pid, 0)
        failure: Message = json.loads(said)
        return failure

    def _serve(self, order: Message, verify: float) -> bool:
        """Handles what is there to handle, once; False when the supervisor is gone."""
        for handle, _ in self._poll.poll(self._patience()):
            if handle == self._wakeup:
                self._drain()
            elif not self._hear(verify):
                return False
        if os.getppid() != self._supervisor:
            return False
        self._look_after(order["outlive"], verify)
        return True

    def _patience(self) -> float | None:
        return WATCH_SECONDS * 1000 if isinstance(self._tree, TrackedTree) else None

    def _look_after(self, outlive: str, verify: float) -> None:
        if isinstance(self._tree, TrackedTree):
            self._tree.watch()
        empty = self._tree.reap()
        if self._tree.status is None:
            return
        if not empty and not self._laddered and not self._told_exit:
            if outlive == "kill":
                swept = sweep.kill(self._tree, verify_seconds=verify)
                self._tell_exit(swept.killed + swept.survivors, empty=swept.empty)
            else:
                self._tell_exit(self._list(), empty=False)
        elif empty:
            self._tell_exit([], empty=True)

    def _tell_exit(self, left: Sequence[ProcessInfo], *, empty: bool) -> None:
        if not self._told_exit:
            self._told_exit = True
            self._tell(event="exit", **self._exit(), survivors=len(left), left=_listed(left), empty=empty)
        if empty and not self._told_empty:
            self._told_empty = True
            self._tell(event="empty")

    def _hear(self, verify: float) -> bool:
        try:
            data = os.read(self._control, READ_BYTES)
        except ConnectionError:
            return False
        self._received += data
        *lines, self._received = self._received.split(b"\n")
        for line in lines:
            self._obey(json.loads(line), verify)
        return bool(data) or self._released

    def _obey(self, request: Message, verify: float) -> None:
        orders: dict[str, Callable[[], Message]] = {
            "freeze": self._freeze,
            "thaw": self._thaw,
            "term": self._terminate,
            "kill": lambda: self._kill(verify),
            "tree": lambda: _counted(self._list()),
            "signal": lambda: self._signal(request["number"]),
            "release": self._release,
        }
        self._tell(id=request["id"], **orders[request["do"]]())

    def _freeze(self) -> Message:
        frozen = sweep.freeze(self._tree)
        # What an earlier freeze stopped looks stopped now: it stays ours to thaw.
        earlier = {info.identity: info for info in self._frozen.held} if self._frozen else {}
        held = tuple(earlier.get(info.identity, info) for info in frozen.held)
        self._frozen = sweep.Frozen(held=held, running=frozen.running, ms=frozen.ms)
        return {"processes": _listed(held), "count": len(held), "running": _listed(frozen.running), "ms": frozen.ms}

    def _thaw(self) -> Message:
        began = time.monotonic()
        thawed = sweep.thaw(self._tree, self._frozen) if self._frozen else ()
        self._frozen = None
        ms = round((time.monotonic() - began) * 1000, 3)
        return {"processes": _listed(thawed), "count": len(thawed), "running": [], "ms": ms}

    def _terminate(self) -> Message:
        self._laddered = True
        return {"count": sweep.terminate(self._tree)}

    def _kill(self, verify: float) -> Message:
        swept = sweep.kill(self._tree, verify_seconds=verify)
        self._laddered = False
        if self._tree.status is not None:
            self._tell_exit([], empty=swept.empty)
        return _swept(swept)

    def _signal(self, number: int) -> Message:
        if self._tree.status is not None:
            return {"sent": False}
        try:
            os.killpg(self._tree.main, number)
        except (ProcessLookupError, PermissionError):
            return {"sent": False}
        return {"sent": True}

    def _release(self) -> Message:
        self._released = True
        return {}

    def _supervisor_lost(self, order: Message, verify: float) -> None:
        swept = sweep.kill(self._tree, verify_seconds=verify)
        if order["terminal"] is not None:
            _restore(**order["terminal"])
        receipt = {"why": "supervisor_lost", "at": time.time(), "exit": self._exit(), **_swept(swept)}
        if receipt["empty"]:
            receipt["key"] = order["key"]  # nothing of the run is left that could misuse it
        _write_receipt(order["receipt"], receipt)

    def _exit(self) -> Message:
        status, used = self._tree.status, self._tree.usage
        return {
            "status": status,
            "user_seconds": round(used.user_seconds, 6),
            "system_seconds": round(used.system_seconds, 6),
            "max_rss": used.max_rss,
            "ended": used.ended,
        }

    def _list(self) -> list[ProcessInfo]:
        return census(self._tree.table, self._tree.roots)

    def _wait_for_death(self, seconds: float) -> bool:
        woken = bool(self._deaths.poll(seconds * 1000))
        self._drain()
        return woken

    def _drain(self) -> None:
        try:
            while os.read(self._wakeup, READ_BYTES):
                continue
        except BlockingIOError:
            return

    def _tell(self, **message: Any) -> None:
        data = json.dumps(message).encode() + b"\n"
        try:
            while data:
                data = data[os.write(self._control, data) :]
        except OSError:
            return  # the supervisor is gone: the closed channel will say so


def main() -> None:
    """Runs a reaper: `reaper CONTROL_FD SUPERVISOR_PID`."""
    Reaper(int(sys.argv[1]), int(sys.argv[2])).run()


def _become(order: Message, group: cgroup.Cgroup | None, parent: int, tell: int) -> None:
    """Turns the forked child into the command; tells the parent why not, and never returns."""
    stage = "prepare"
    try:
        os.setsid()
        kernel.die_with_parent(signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        if group is not None:
            _join(group)
        for target, handle in enumerate(order["stdio"]):
            os.dup2(handle, target)
        if order["controlling"] is not None:
            _take_controlling_terminal(order["controlling"])
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        stage = "cwd"
        os.chdir(order["cwd"])
        stage = "exec"
        os.execvpe(order["argv"][0], order["argv"], dict(os.environ))
    except OSError as error:
        os.write(tell, json.dumps({"stage": stage, "errno": error.errno, "why": error.strerror}).encode())
    finally:
        os._exit(127)


def _join(group: cgroup.Cgroup) -> None:
    try:
        group.join()
    except OSError:
        return  # the signals reach it all the same


def _take_controlling_terminal(handle: int) -> None:
    import fcntl  # not on every system, and only a terminal needs it
    import termios

    fcntl.ioctl(handle, termios.TIOCSCTTY, 0)


def _restore(handle: int, attributes: list[Any]) -> None:
    import termios

    try:
        termios.tcsetattr(handle, termios.TCSANOW, attributes)
    except termios.error:
        return


def _pipe(*, blocking: bool = False) -> tuple[int, int]:
    ends = os.pipe()
    for end in ends:
        os.set_blocking(end, blocking)
    return ends


def _counted(found: Sequence[ProcessInfo]) -> Message:
    return {"processes": _listed(found), "count": len(found)}


def _listed(found: Sequence[ProcessInfo]) -> list[Message]:
    return [info.to_json() for info in found[:LISTED_MAX]]


def _swept(swept: sweep.Swept) -> Message:
    return {
        "steps": [[stage.name, stage.ms, stage.outcome] for stage in swept.stages],
        "killed": _listed(swept.killed),
        "survivors": _listed(swept.survivors),
        "empty": swept.empty,
        "proof": "process" if swept.empty else "none",
    }


def _write_receipt(path: str, receipt: Message) -> None:
    draft = f"{path}.{os.getpid()}"
    try:
        with open(draft, "w", encoding="utf-8") as file:
            json.dump(receipt, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError as error:
        print(f"opsconsole: no receipt at {path}: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
