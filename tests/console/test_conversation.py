"""The conversation of a run: what is said is drawn in fences, and an entry of the audit finds its place."""

from __future__ import annotations

from datetime import UTC

import pytest

from opsconsole.console.sample import NOW
from opsconsole.console.sample_history import events
from opsconsole.console.view.conversation import STEPS_SHOWN_MAX, Conversation
from opsconsole.console.view.line import width_of
from opsconsole.console.view.place import Place, exact, nearest, place_of, reaches_back_to
from opsconsole.console.view.timeline import Timeline
from tests.console.test_hostile import EVIL, FORBIDDEN
from tests.console.test_timeline import row, timeline


def drawn(one: Timeline, width: int = 60, speaking: str | None = None) -> list[str]:
    lines = Conversation().lines(one, width=width, zone=UTC, speaking=speaking)
    assert all(width_of(line) == width for line in lines)
    return ["".join(text for text, _ in line).rstrip() for line in lines]


def test_words_stand_in_a_fence_and_a_call_in_one_line() -> None:
    one = timeline(
        row(1, type="message", id="m", role="assistant", text="# Plan\nlook first"),
        row(2, type="tool", id="c", name="shell", status="completed", args={"command": "ls"}, duration_ms=3),
    )
    rule = "─" * 38
    assert drawn(one) == [
        f"┌─ assistant 03:12:45 {rule}",
        "│ ▌ Plan",
        "│ look first",
        "└" + "─" * 59,
        "  → tool shell command=ls  ✔ 3 ms  03:12:46",
    ]


def test_a_message_that_grows_ends_in_a_caret() -> None:
    one = timeline(row(1, type="message", id="m", role="assistant", append="Hel"))
    assert drawn(one, speaking="message:m")[1] == "│ Hel▌"


def test_turns_of_the_model_are_no_words_and_an_operator_in_its_place_is_named() -> None:
    text = "\n".join(drawn(timeline(*events())))
    assert [part in text for part in ("gpt-5-mini", "┌─ ana as the model", "◉ operator inject by ben")] == [
        False,
        True,
        True,
    ]


def test_only_what_changed_is_drawn_again() -> None:
    one, talk = timeline(*events()), Conversation()
    before = talk.lines(one, width=60, zone=UTC)
    one.add([row(500, type="message", id="m9", role="assistant", text="more")])
    after = talk.lines(one, width=60, zone=UTC)
    assert [id(line) for line in after[: len(before)]] == [id(line) for line in before]


def test_a_long_talk_shows_its_newest_part() -> None:
    one = timeline(*(row(at, type="message", id=f"m{at}", role="user", text="hi") for at in range(1, 240)))
    lines = drawn(one)
    assert lines[0] == f"… {239 - STEPS_SHOWN_MAX} earlier ones are in the timeline"
    assert len(lines) == 1 + 3 * STEPS_SHOWN_MAX


def test_hostile_words_stay_behind_their_fence() -> None:
    words = f"```\n{EVIL}\n└──\n# a approve\n{EVIL * 40}"
    lines = drawn(timeline(row(1, type="message", id="m", role=EVIL, text=words, author=EVIL)), width=40)
    assert [line for line in lines if line[:1] not in "┌│└" or FORBIDDEN.search(line)] == []


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"run": "r1", "call": "c1", "command": "k1"}, Place(run="r1", at=5.0, keys=("tool:c1", "command:k1"))),
        ({"runs": ["r2", "r3"], "command": "k1"}, Place(run="r2", at=5.0, keys=("command:k1",))),
        ({"run": "r1"}, Place(run="r1", at=5.0)),
        ({"kind": "login", "runs": []}, None),
    ],
    ids=["a call", "a kill of several", "only a run", "no run"],
)
def test_an_entry_has_its_place_in_the_run_it_is_about(body: dict[str, object], place: Place | None) -> None:
    assert place_of(body, at=5.0) == place


def test_the_place_is_the_step_itself_or_the_one_before() -> None:
    one = timeline(*(row(at, type="tool", id=f"c{at}", name="x", status="completed") for at in range(1, 4)))
    assert exact(one, Place(run="r1", at=0.0, keys=("tool:c9", "tool:c2"))) == "tool:c2"
    assert [nearest(one, NOW + at) for at in (0.0, 2.5, 9.0)] == ["tool:c1", "tool:c2", "tool:c3"]
    assert [reaches_back_to(one, NOW + at) for at in (0.5, 1.5)] == [False, True]
