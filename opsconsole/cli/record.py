"""`record`: pins a run as a case file, from what the hub holds of it; it changes nothing there."""

from __future__ import annotations

from dataclasses import replace

import click

from opsconsole.cli import output
from opsconsole.cli.client import connect
from opsconsole.cli.exits import Exit
from opsconsole.cli.options import json_option, shared_options
from opsconsole.cli.resolve import one_run
from opsconsole.cli.run_history import run_entries, timeline
from opsconsole.config import Settings
from opsconsole.domain.command import Role
from opsconsole.errors import CommandFailed
from opsconsole.policy.prices import PriceList
from opsconsole.scenario.reading import CASE_CHARS_MAX
from opsconsole.scenario.recording import recorded
from opsconsole.scenario.suggesting import suggested
from opsconsole.scenario.writing import written


@click.command()
@click.argument("run")
@click.option("--name", help="What the case is called [the run's name].")
@click.option("--bare", is_flag=True, help="Suggest no expectations.")
@json_option
@shared_options
def record(settings: Settings, run: str, name: str | None, bare: bool, as_json: bool) -> Exit:
    """Pin RUN as a case file: what was said, called, decided and given, secrets masked, with what should hold.

    The file is for `opsconsole test` and the pytest plugin; edit what stands at its beginning.
    """
    with connect(settings, Role.OPERATOR) as client:
        run = one_run(client, run)
        rows, is_whole = timeline(client, run)
        scenario = recorded(run, rows, run_entries(client, run), PriceList(settings.prices))
    scenario = replace(scenario, name=name or scenario.name)
    if not bare:
        scenario = replace(scenario, expectations=suggested(scenario))
    text = written(scenario)
    if len(text) > CASE_CHARS_MAX:
        raise CommandFailed(f"the case would be longer than {CASE_CHARS_MAX:,} characters", code="bad_request")
    if not is_whole or scenario.steps_left_out:
        output.note("the run is longer than a case may be: only its beginning is pinned")
    if as_json:
        expectations = [str(one) for one in scenario.expectations]
        output.echo_json({"run": run, "steps": len(scenario.steps), "expectations": expectations, "case": text})
    else:
        click.echo(text, nl=False)
    return Exit.OK
