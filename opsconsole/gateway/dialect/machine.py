"""The machine that every dialect's answer is: what passes, what is held, what ends it; how bytes are written is theirs.

              PLAIN           CALL            WHOLE           RULED           FAULT
    PASS      PASS            HOLD            SETTLED                         BROKEN
    HOLD      HOLD            HOLD            HELD                            BROKEN
    HELD                                                      SETTLED         BROKEN
    SETTLED   (takes nothing more)
    BROKEN    (takes nothing more)

A dialect writes two classes: one upon `StreamedAnswer`, which sees one frame after another, and one upon `PlainAnswer`,
which sees one body. Both raise `Unreadable` for what the format does not allow: the machine makes it Broken.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import IntEnum, auto
from itertools import count, groupby
from typing import Any

from opsconsole.gateway.dialect.framing import Frame, Frames, FrameTooLong, is_clear
from opsconsole.gateway.dialect.interface import (
    HELD_BYTES_MAX,
    Answered,
    Broken,
    Done,
    Edited,
    Failure,
    Held,
    ModelCall,
    Pass,
    Piece,
    Ruling,
    Stands,
    Text,
)
from opsconsole.gateway.dialect.json_text import Unreadable, read_object


class State(IntEnum):
    """Where an answer is (numbers, since those are looked up without a call)."""

    PASS = auto()
    """What comes goes to the client."""
    HOLD = auto()
    """A call has begun: what comes is kept."""
    HELD = auto()
    """Whole, and waiting for rulings."""
    SETTLED = auto()
    """Nothing more will be given."""
    BROKEN = auto()
    """Nothing more will be given, and what was kept is lost."""


class Sight(IntEnum):
    """What a frame is, or what happened to the answer."""

    PLAIN = auto()
    CALL = auto()
    WHOLE = auto()
    RULED = auto()
    FAULT = auto()


NEXT: Mapping[tuple[State, Sight], State] = {
    (State.PASS, Sight.PLAIN): State.PASS,
    (State.PASS, Sight.CALL): State.HOLD,
    (State.PASS, Sight.WHOLE): State.SETTLED,
    (State.PASS, Sight.FAULT): State.BROKEN,
    (State.HOLD, Sight.PLAIN): State.HOLD,
    (State.HOLD, Sight.CALL): State.HOLD,
    (State.HOLD, Sight.WHOLE): State.HELD,
    (State.HOLD, Sight.FAULT): State.BROKEN,
    (State.HELD, Sight.RULED): State.SETTLED,
    (State.HELD, Sight.FAULT): State.BROKEN,
}
CALLS_MAX = 1_000
"""Of one answer: more than any model makes, and more than anybody decides on."""
TAKING = frozenset({State.PASS, State.HOLD})
"""Where bytes from upstream still mean something."""


class NotHeld(RuntimeError):
    """Rulings for an answer that does not wait for any: a fault of the caller."""


class AnswerMachine(ABC):
    """What a streamed and a plain answer have in common."""

    def __init__(self, continues: AnswerMachine | None) -> None:
        self._state = State.PASS
        self._began = continues is not None and continues.begun
        self._calls: tuple[ModelCall, ...] = ()

    @property
    def begun(self) -> bool:
        """Whether bytes have gone to the client."""
        return self._began

    @property
    def state(self) -> State:
        """Where it is."""
        return self._state

    @property
    def calls(self) -> tuple[ModelCall, ...]:
        """The calls that are held; empty until the answer is whole."""
        return self._calls

    def settle(self, rulings: Mapping[str, Ruling]) -> bytes:
        """The rest of the answer for the client. Raises: NotHeld, KeyError (a call without a ruling)."""
        ruled = self._ruled(rulings)
        self._began = True
        if all(isinstance(ruling, Stands) for ruling in ruled.values()):
            return self._kept()
        return self._rewritten(ruled)

    def reasked(self, rulings: Mapping[str, Ruling]) -> dict[str, Answered]:
        """Ends this answer because another one will continue it; the rulings in the order of the calls.
        Raises: NotHeld (also where a call is to stand), KeyError."""
        if any(not isinstance(rulings[call.id], Answered) for call in self._calls):
            raise NotHeld("a call that stands cannot be asked again")
        return {id: ruling for id, ruling in self._ruled(rulings).items() if isinstance(ruling, Answered)}

    def keep_alive(self) -> bytes:
        """Bytes native to the API that keep a client waiting here."""
        self._began = True
        return self._waiting()

    def failure(self, failure: Failure) -> bytes:
        """The API's error at this place; the answer is over."""
        self._state = State.BROKEN
        return self._failed(failure)

    def _ruled(self, rulings: Mapping[str, Ruling]) -> dict[str, Ruling]:
        if self._state is not State.HELD:
            raise NotHeld(f"no rulings are awaited: {self._state.name}")
        ruled = {call.id: rulings[call.id] for call in self._calls}
        self._state = NEXT[self._state, Sight.RULED]
        return ruled

    def _break(self, why: str) -> Broken:
        self._state = NEXT[self._state, Sight.FAULT]
        self._calls = ()
        return Broken(why=why)

    def _given(self, pieces: list[Piece]) -> list[Piece]:
        given = joined(pieces)
        if not self._began:
            self._began = Pass in map(type, given)
        return given

    @abstractmethod
    def _kept(self) -> bytes:
        """What was kept, as it goes to the client when every call stands."""

    @abstractmethod
    def _rewritten(self, ruled: Mapping[str, Ruling]) -> bytes:
        """What was kept, with the rulings applied; `ruled` has every call, in order."""

    @abstractmethod
    def _waiting(self) -> bytes:
        """One keep-alive."""

    @abstractmethod
    def _failed(self, failure: Failure) -> bytes:
        """The API's error, here."""


class StreamedAnswer(AnswerMachine):
    """An answer as server-sent events."""

    def __init__(self, continues: AnswerMachine | None = None) -> None:
        super().__init__(continues)
        self._frames = Frames()
        self._held: list[bytes] = []
        """Frames for the client, kept since the first call, as they would go out unchanged."""
        self._held_bytes = 0

    def feed(self, data: bytes) -> list[Piece]:
        """The next bytes from upstream."""
        if self._state is State.PASS and self._frames.is_between:
            at_once = self._at_once(data)
            if at_once is not None:
                self._began = True
                return at_once
        pieces: list[Piece] = []
        if self._state in TAKING:
            try:
                for frame in self._frames.feed(data):
                    self._take(frame, pieces)
            except (FrameTooLong, Unreadable) as fault:
                pieces.append(self._break(str(fault)))
        return self._given(pieces)

    def end(self) -> list[Piece]:
        """Upstream has closed."""
        pieces: list[Piece] = []
        if self._state in TAKING:
            try:
                for frame in self._frames.end():
                    self._take(frame, pieces)
                if self._state in TAKING:
                    self._over(self._at_end(pieces), pieces)
            except Unreadable as fault:
                pieces.append(self._break(str(fault)))
        return self._given(pieces)

    def _take(self, frame: Frame, pieces: list[Piece]) -> None:
        if self._state not in TAKING:
            return
        if not is_clear(frame):
            raise Unreadable("bytes that are no event, or that clients read differently")
        sight, data = self._see(frame, pieces)
        if sight is Sight.FAULT:
            # Upstream's own error: the client may see it, unless it stands behind a call.
            if self._state is State.PASS and data:
                pieces.append(Pass(data))
            pieces.append(self._break(f"upstream: {self._fault()}"))
            return
        self._state, before = NEXT[self._state, sight], self._state
        if State.HOLD in (before, self._state):
            self._keep(data)
        elif data:
            pieces.append(Pass(data))
        if sight is Sight.WHOLE:
            self._finish(pieces)

    def _over(self, rest: bytes | None, pieces: list[Piece]) -> None:
        """Upstream closed without the frame that ends an answer; `rest` is None where it was not whole."""
        if rest is None:
            raise Unreadable("upstream closed before the answer was whole")
        self._state, before = NEXT[self._state, Sight.WHOLE], self._state
        if before is State.HOLD:
            self._keep(rest)
        elif rest:
            pieces.append(Pass(rest))
        self._finish(pieces)

    def _finish(self, pieces: list[Piece]) -> None:
        if self._state is State.HELD:
            self._calls = unique(self._whole_calls())
            pieces.append(Held(calls=self._calls))
        else:
            pieces.append(Done(finish=self._finished()))

    def _keep(self, data: bytes) -> None:
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes > HELD_BYTES_MAX:
            raise Unreadable(f"an answer with calls of more than {HELD_BYTES_MAX} bytes")

    def _break(self, why: str) -> Broken:
        self._held.clear()
        return super()._break(why)

    def _kept(self) -> bytes:
        return b"".join(self._held)

    @abstractmethod
    def _see(self, frame: Frame, pieces: list[Piece]) -> tuple[Sight, bytes]:
        """What the frame is, and what of it goes to the client (held or not; empty: nothing). Adds to `pieces` what it
        tells (Text, Served, Counted, CallBegan), never Pass, Held, Done or Broken. Raises: Unreadable."""

    def _at_once(self, data: bytes) -> list[Piece] | None:
        """What comes of bytes that are surely one frame, and a plain one, seen without looking closer; None where that
        is not sure."""
        return None

    def _at_end(self, pieces: list[Piece]) -> bytes | None:
        """Upstream closed without a frame that ends an answer: what remains to be said where the answer is whole all
        the same, else None."""
        return None

    @abstractmethod
    def _whole_calls(self) -> list[ModelCall]:
        """The calls of a whole answer, in order. Raises: Unreadable."""

    @abstractmethod
    def _finished(self) -> str:
        """The API's own word for why the answer ended."""

    @abstractmethod
    def _fault(self) -> str:
        """What upstream's error said."""


class PlainAnswer(AnswerMachine):
    """An answer as one JSON body: kept whole, then judged as a stream is."""

    def __init__(self, continues: AnswerMachine | None = None) -> None:
        super().__init__(continues)
        self._raw: bytes | bytearray = b""
        """Most bodies come in one piece; the pieces of others are one piece of memory."""
        self._body: dict[str, Any] = {}

    def feed(self, data: bytes) -> list[Piece]:
        """The next bytes from upstream."""
        if self._state not in TAKING:
            return []
        if not self._raw:
            self._raw = data
        else:
            self._raw = bytearray(self._raw) if isinstance(self._raw, bytes) else self._raw
            self._raw += data
        if len(self._raw) <= HELD_BYTES_MAX:
            return []
        self._raw = b""
        return [self._break(f"an answer of more than {HELD_BYTES_MAX} bytes")]

    def end(self) -> list[Piece]:
        """Upstream has closed."""
        if self._state not in TAKING:
            return []
        pieces: list[Piece] = []
        self._raw = bytes(self._raw)
        try:
            self._body = read_object(self._raw, "the answer", once=True)
            self._calls = unique(self._look(self._body, pieces))
        except Unreadable as fault:
            return [*pieces, self._break(str(fault))]
        if self._calls:
            self._state = State.HELD
            pieces.append(Held(calls=self._calls))
        else:
            self._state = State.SETTLED
            pieces += [Pass(self._kept()), Done(finish=self._finished())]
        return self._given(pieces)

    def _waiting(self) -> bytes:
        return b" "

    @abstractmethod
    def _look(self, body: dict[str, Any], pieces: list[Piece]) -> list[ModelCall]:
        """The calls in the body, in order; adds to `pieces` what it tells (CallBegan included). Raises: Unreadable."""

    @abstractmethod
    def _finished(self) -> str:
        """The API's own word for why the answer ended."""


def renamed(called: Sequence[tuple[int, str]], stem: str) -> dict[int, str]:
    """place -> another id, where a call has none or that of an earlier one: clients could not tell them apart.

    `called` are places and ids; an id that is missing begins with `stem`.
    """
    taken = {id for _, id in called} | {""}
    seen: set[str] = {""}
    names: dict[int, str] = {}
    for place, id in called:
        if id in seen:
            names[place] = next(name for n in count(2) if (name := f"{id or stem}_{n}") not in taken)
            taken.add(names[place])
        seen.add(id)
    return names


def unique(calls: list[ModelCall]) -> tuple[ModelCall, ...]:
    """The calls, each under an id of its own: one that comes again, or that has none, gets its place behind it.
    Raises: Unreadable, where there are too many."""
    if not calls:
        return ()
    if len(calls) > CALLS_MAX:
        raise Unreadable(f"an answer of more than {CALLS_MAX} calls")
    taken = {call.id for call in calls}
    seen: set[str] = {""}
    named: list[ModelCall] = []
    for place, call in enumerate(calls):
        id = call.id
        while id in seen or (id != call.id and id in taken):
            id = f"{id or 'call'}.{place}"
        seen.add(id)
        named.append(call if id == call.id else replace(call, id=id))
    return tuple(named)


def stands(ruling: Ruling) -> bool:
    """Whether the call reaches the client, edited or not."""
    return isinstance(ruling, Stands | Edited)


def note(ruled: Mapping[str, Ruling]) -> str:
    """What the client reads in place of the calls that do not reach it."""
    texts = [ruling.text.strip() for ruling in ruled.values() if isinstance(ruling, Answered)]
    return "\n".join(dict.fromkeys(text for text in texts if text)) or "This call was not allowed."


def joined(pieces: list[Piece]) -> list[Piece]:
    """The same with fewer: between two other pieces all that passes is one, and so are the words of one role."""
    kinds = list(map(type, pieces))
    if kinds.count(Pass) < 2 and kinds.count(Text) < 2:
        return pieces
    together: list[Piece] = []
    open_: list[Pass | Text] = []
    for piece in pieces:
        if isinstance(piece, Pass | Text):
            open_.append(piece)
        else:
            together += _merged(open_)
            open_ = []
            together.append(piece)
    return together + _merged(open_)


def _merged(pieces: list[Pass | Text]) -> list[Piece]:
    passed = [piece.data for piece in pieces if isinstance(piece, Pass)]
    words = groupby((piece for piece in pieces if isinstance(piece, Text)), key=lambda piece: piece.role)
    merged: list[Piece] = [Pass(b"".join(passed))] if passed else []
    return merged + [Text(text="".join(piece.text for piece in group), role=role) for role, group in words]
