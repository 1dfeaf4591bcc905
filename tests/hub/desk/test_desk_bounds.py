"""What one run may take up at the desk: models beyond the bound share a name, and none of their tokens is lost."""

from __future__ import annotations

from opsconsole.hub.desk.readings import MODELS_KEPT_MAX
from opsconsole.hub.desk.settings import POINTS_PER_RUN_MAX
from opsconsole.policy.default import DefaultPolicy
from opsconsole.policy.interface import Limits
from tests.hub.desk.office import Office


def test_a_run_of_countless_models_shows_a_bounded_number_of_them() -> None:
    office = Office()
    agent = office.agent()
    for number in range(MODELS_KEPT_MAX + 50):
        agent.usage(model=f"model-{number}", input_tokens=1)
    models = [f"model-{number}" for number in range(MODELS_KEPT_MAX)]
    assert office.row().models == [*models, "other"]


def test_tokens_of_models_beyond_the_bound_count_against_the_limit() -> None:
    office = Office(policy=DefaultPolicy(run_limits=Limits(tokens=1_000)))
    agent = office.agent()
    for number in range(MODELS_KEPT_MAX + 10):
        agent.usage(model=f"model-{number}", input_tokens=1 if number < MODELS_KEPT_MAX else 100)
    assert (office.row().input_tokens, office.row().state) == (MODELS_KEPT_MAX + 1_000, "pausing")


def test_cumulative_readings_of_a_model_beyond_the_bound_count_once() -> None:
    office = Office()
    agent = office.agent(point="gateway")
    for number in range(MODELS_KEPT_MAX):
        agent.usage(model=f"model-{number}", input_tokens=1)
    for tokens in (100, 150, 200):
        for model in ("late", "later"):
            agent.usage(model=model, input_tokens=tokens, cost_usd=tokens / 1_000)
    row = office.row()
    assert (row.input_tokens, round(row.cost_usd - MODELS_KEPT_MAX * 1e-5, 6)) == (MODELS_KEPT_MAX + 400, 0.4)


def test_a_model_known_before_the_bound_keeps_its_own_reading() -> None:
    office = Office()
    agent = office.agent()
    for number in range(MODELS_KEPT_MAX + 1):
        agent.usage(model=f"model-{number}", input_tokens=1)
    agent.usage(model="model-0", input_tokens=5)
    assert office.row().input_tokens == MODELS_KEPT_MAX + 5


def test_a_run_has_only_so_many_points() -> None:
    office = Office()
    for number in range(POINTS_PER_RUN_MAX + 4):
        office.agent(point=f"point{number}")
    assert len(office.row().points) == POINTS_PER_RUN_MAX
