"""Fair sharing: whoever asks for much waits behind itself, and nobody is forgotten."""

import random
from collections import Counter

import pytest

from opsconsole.gateway.flow.fair import QUEUE_PER_RUN_MAX, FairQueue, QueueFull, Ticket


def ticket(number: int, run: str, tokens: float = 100, weight: float = 1.0) -> Ticket:
    return Ticket(id=number, run=run, tokens=tokens, weight=weight)


def served(queue: FairQueue, count: int) -> list[str]:
    order = []
    for _ in range(count):
        one = queue.next()
        assert one is not None
        queue.take(one)
        order.append(one.run)
    return order


def test_a_quiet_run_goes_before_the_rest_of_a_loud_one() -> None:
    queue = FairQueue()
    for number in range(10):
        queue.join(ticket(number, "loud"))
    queue.join(ticket(10, "quiet"))
    assert served(queue, 3) == ["loud", "quiet", "loud"]


def test_tokens_are_shared_not_requests() -> None:
    queue = FairQueue()
    for number in range(20):
        queue.join(ticket(number, "large", tokens=1_000))
        queue.join(ticket(100 + number, "small", tokens=100))
    counted = Counter(served(queue, 22))
    assert (counted["large"], counted["small"]) == (2, 20)


def test_a_weight_gives_more() -> None:
    queue = FairQueue()
    for number in range(40):
        queue.join(ticket(number, "heavy", weight=3))
        queue.join(ticket(100 + number, "light"))
    counted = Counter(served(queue, 40))
    assert counted["heavy"] == pytest.approx(3 * counted["light"], abs=2)


def test_who_was_away_has_saved_nothing_up() -> None:
    queue = FairQueue()
    for number in range(30):
        queue.join(ticket(number, "busy"))
    served(queue, 20)
    for number in range(10):
        queue.join(ticket(100 + number, "back"))
    assert Counter(served(queue, 10))["back"] in (5, 6)


def test_once_nobody_waits_all_begin_alike_again() -> None:
    queue = FairQueue()
    for number in range(30):
        queue.join(ticket(number, "busy"))
    served(queue, 30)
    for number in range(10):
        queue.join(ticket(100 + number, "busy"))
        queue.join(ticket(200 + number, "new"))
    assert Counter(served(queue, 10)) == {"busy": 5, "new": 5}


def test_who_leaves_is_not_served() -> None:
    queue = FairQueue()
    queue.join(ticket(1, "a"))
    queue.join(ticket(2, "b"))
    queue.leave(1)
    assert (served(queue, 1), queue.next(), len(queue)) == (["b"], None, 0)


def test_a_runs_queue_is_bounded_and_its_neighbours_are_not_touched_by_that() -> None:
    queue = FairQueue()
    for number in range(QUEUE_PER_RUN_MAX):
        queue.join(ticket(number, "loud"))
    with pytest.raises(QueueFull):
        queue.join(ticket(1_000, "loud"))
    queue.join(ticket(1_001, "quiet"))
    assert len(queue) == QUEUE_PER_RUN_MAX + 1


@pytest.mark.parametrize("seed", range(20))
def test_of_runs_that_always_want_more_each_gets_its_share_of_tokens(seed: int) -> None:
    dice = random.Random(seed)
    weights = {f"run{number}": dice.choice([1.0, 1.0, 2.0, 4.0]) for number in range(6)}
    queue, got, number = FairQueue(), Counter[str](), 0
    for _ in range(3_000):
        for run, weight in weights.items():
            while queue._by_run.get(run, 0) < 3:
                number += 1
                queue.join(ticket(number, run, tokens=dice.randint(1, 2_000), weight=weight))
        one = queue.next()
        assert one is not None
        queue.take(one)
        got[one.run] += int(one.tokens)
    shares = [got[run] / weight for run, weight in weights.items()]
    assert max(shares) / min(shares) < 1.1
