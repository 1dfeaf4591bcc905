"""Which run a body becomes: the supervisor's, one resumed by its key, or a new one; it starts and links nothing."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from opsconsole.domain.run import RunState
from opsconsole.errors import ConfigError, RunInUse, RunStopped
from opsconsole.sdk.journal import CallRecord, Journal, journal_path
from opsconsole.sdk.new_ids import new_id

RESUME = "OPSCONSOLE_RESUME"
"""The variable that names the stopped run which the supervised one goes on from."""
_INHERITED = ("checkpoints", "lineage")


class Adoption:
    """The one run of this process that a supervisor has named; every further run is its child."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._lock = threading.Lock()
        self._environ = environ
        self._root: str | None = None

    def claim(self) -> tuple[str | None, str | None]:
        """The run to adopt, for the first who asks, and the parent of the others."""
        with self._lock:
            if self._root is None and (named := self._environ.get("OPSCONSOLE_RUN")):
                self._root = named
                return named, None
            return None, self._root

    @property
    def resumes(self) -> str | None:
        """The stopped run from whose checkpoint a person has said that the adopted one is to go on."""
        return self._environ.get(RESUME) or None

    def give_back(self, adopted: str | None) -> None:
        """The run could not be opened: who asks next may try again."""
        if adopted is not None:
            with self._lock:
                self._root = None


ADOPTION = Adoption()


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An open journal and how it came about."""

    journal: Journal
    left_behind: Journal | None = None
    """The journal of the run that this one continues, to be delivered and ended."""
    resumable: bool = False
    adopted: bool = False
    """Whether it is the run that a supervisor has named."""


def open_run(folder: Path, *, agent: str, key: str | None, adopted: str | None, resumes: str | None = None) -> Opened:
    """Opens the run's journal.

    The run that a supervisor has named (`adopted`) is had by one body: while another program has it, and once that has
    ended, the run is one of its own. `resumes` names the run, stopped or not, from whose checkpoint it goes on.
    Raises: RunInUse if a live process has it, RunStopped if it was stopped: nothing restarts a stopped run.
    ConfigError where there is no checkpoint to go on from.
    """
    key_file = _KeyFile(folder, agent, key) if key is not None else None
    earlier = key_file.run() if key_file else None
    named = _named(folder, adopted) if adopted is not None else None
    if named is not None:
        by_hand = resumes if named.fresh else None
        opened = _adopted(folder, named, earlier) if by_hand is None else _going_on(folder, named, by_hand)
    elif earlier is not None:
        opened = _resumed(folder, earlier)
    else:
        opened = Opened(journal=Journal(folder, new_id("run")), resumable=key is not None)
    if key_file:
        key_file.write(opened.journal.run)
    return opened


def _named(folder: Path, adopted: str) -> Journal | None:
    """The journal of the supervisor's run, unless another program has or had it."""
    try:
        journal = Journal(folder, adopted)
    except RunInUse:
        return None
    ended = journal.get("ended")
    if not ended:
        return journal
    journal.close()
    if ended == RunState.KILLED:
        raise RunStopped("the run was killed", run=adopted)
    return None


def _resumed(folder: Path, earlier: str) -> Opened:
    old = Journal(folder, earlier)
    ended = old.get("ended")
    _refuse_stopped(old, ended)
    if not ended:
        return Opened(journal=old, resumable=True)
    new = Journal(folder, new_id("run"))
    if ended != RunState.COMPLETED:
        _inherit(old, new, calls=False)
    return Opened(journal=new, left_behind=old, resumable=True)


def _adopted(folder: Path, journal: Journal, earlier: str | None) -> Opened:
    if earlier is None or earlier == journal.run:
        return Opened(journal=journal, resumable=True, adopted=True)
    try:
        old = Journal(folder, earlier)
        ended = old.get("ended")
        _refuse_stopped(old, ended)
    except BaseException:
        journal.close(remove=journal.fresh)
        raise
    if ended != RunState.COMPLETED:
        _inherit(old, journal, calls=not ended)
    return Opened(journal=journal, left_behind=old, resumable=True, adopted=True)


def _going_on(folder: Path, journal: Journal, earlier: str) -> Opened:
    """A new run that goes on where a stopped one was, because a person said so; what that one ran is not run again."""
    if not journal_path(folder, earlier).exists():
        journal.close(remove=True)
        raise ConfigError(f"{earlier} left no journal on this machine: a run with a key keeps one")
    try:
        old = Journal(folder, earlier)
        if old.checkpoint() is None:
            old.close()
            raise ConfigError(f"{earlier} kept no checkpoint to go on from")
    except BaseException:
        journal.close(remove=True)
        raise
    _inherit(old, journal, calls=True)
    return Opened(journal=journal, left_behind=old, resumable=True, adopted=True)


def _refuse_stopped(journal: Journal, ended: str | None) -> None:
    stopped = ended == RunState.KILLED or any(json.loads(body)["do"] == "kill" for body in journal.open_commands())
    if stopped:
        journal.close()
        raise RunStopped("a run with this key was killed; start over with another key", run=journal.run)


def _inherit(old: Journal, new: Journal, *, calls: bool) -> None:
    """The new run goes on from the old one's checkpoint; with `calls`, what the old one ran is not run again."""
    with new.transaction():
        if checkpoint := old.checkpoint():
            new.save_checkpoint(*checkpoint)
        if not calls:
            return
        for name in _INHERITED:
            if value := old.get(name):
                new.put(name, value)
        new.put("lineage", old.get("lineage") or old.gen[:6])
        for one in old.calls():
            status = "interrupted" if one.status == "running" else one.status
            if status != "proposed":
                new.note_call(
                    CallRecord(call=one.call, status=status, digest=one.digest, result=one.result, error=one.error)
                )


class _KeyFile:
    """Names the run that has a key; it outlives the run, so that a killed one stays killed."""

    def __init__(self, folder: Path, agent: str, key: str) -> None:
        name = hashlib.sha256(f"{agent}\n{key}".encode("utf-8", "backslashreplace")).hexdigest()[:32]
        self._path = folder / f"key_{name}.json"

    def run(self) -> str | None:
        try:
            return str(json.loads(self._path.read_bytes())["run"])
        except (FileNotFoundError, ValueError, KeyError):
            return None

    def write(self, run: str) -> None:
        beside = self._path.with_suffix(f".{os.getpid()}")
        beside.write_text(json.dumps({"run": run}))
        beside.replace(self._path)
