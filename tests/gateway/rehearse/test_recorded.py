"""What a timeline tells of a period: turns, calls, events, questions."""

from opsconsole.domain.usage import Usage
from opsconsole.gateway.rehearse.recorded import Question, Turn, read_questions, read_run
from tests.gateway.rehearse.traffic import row


def usage(at: float, turns: int, tokens: int, **more: object) -> dict[str, object]:
    counts = {"turns": turns, "input_tokens": tokens, "output_tokens": 10 * turns}
    return row(at, type="usage", model="gpt-4o", provider="openai", **{**counts, **more})


def test_a_turn_is_what_the_counts_grew_by_from_its_proposal_on() -> None:
    timeline = [
        row(10.0, type="tool", id="t1", kind="model_call", name="gpt-4o", status="proposed"),
        usage(14.0, 1, 100),
        row(20.0, type="tool", id="t2", kind="model_call", name="gpt-4o", status="proposed"),
        usage(26.0, 2, 350),
    ]
    found = read_run("r", timeline)
    assert found.turns[1] == Turn(
        run="r",
        at=20.0,
        seconds=6.0,
        provider="openai",
        model="gpt-4o",
        usage=Usage(turns=1, input_tokens=250, output_tokens=10),
    )
    assert (len(found.turns), found.calls, len(found.events)) == (2, 0, 4)


def test_one_reading_of_several_turns_is_that_many() -> None:
    found = read_run("r", [usage(60.0, 3, 300)])
    assert [turn.usage.input_tokens for turn in found.turns] == [100, 100, 100]


def test_counts_that_began_anew_are_not_negative() -> None:
    found = read_run("r", [usage(10.0, 5, 500), usage(20.0, 1, 70)])
    assert found.turns[-1].usage.input_tokens == 70


def test_what_was_before_the_period_only_says_where_the_counts_stood() -> None:
    found = read_run("r", [usage(10.0, 5, 500), usage(20.0, 6, 600)], since=15.0)
    assert ([turn.usage.input_tokens for turn in found.turns], found.events) == ([100], (20.0,))


def test_calls_of_tools_are_counted_once() -> None:
    timeline = [
        row(1.0, type="tool", id="c1", name="shell", status="proposed"),
        row(2.0, type="tool", id="c1", name="shell", status="completed"),
        row(3.0, type="tool", id="c2", name="shell", status="proposed"),
    ]
    assert read_run("r", timeline).calls == 2


def test_lines_that_nobody_can_read_are_left_out() -> None:
    strange = [{}, {"event": 7, "at": 1.0}, {"event": {"type": "usage"}}, row(1.0, type="usage", turns="many")]
    assert read_run("r", strange).turns == ()


def test_a_question_tells_how_long_it_took_a_person() -> None:
    rows = [
        {"run": "r", "requested_at": 10.0, "decided_at": 25.0, "decided_by": "ana"},
        {"run": "r", "requested_at": 11.0, "decided_at": 600.0, "decided_by": None},
        {"run": "r", "requested_at": 1.0},
    ]
    assert read_questions(rows, since=5.0) == [
        Question(run="r", at=10.0, seconds=15.0, by="ana"),
        Question(run="r", at=11.0, seconds=None, by=""),
    ]
