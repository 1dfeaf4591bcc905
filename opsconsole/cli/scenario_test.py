"""`test`: replays a policy and its detectors over case files and tells what does not hold; it asks no hub."""

from __future__ import annotations

from pathlib import Path

import click

from opsconsole.cli import output
from opsconsole.cli.exits import Exit
from opsconsole.cli.options import json_option
from opsconsole.policy.file.problem import PolicyError, Problem
from opsconsole.scenario.files import SUFFIX, case_files, read_case, read_policy
from opsconsole.scenario.reading import CaseError
from opsconsole.scenario.replay import replay
from opsconsole.scenario.report import CaseReport, json_of, report_on, text_of, totals


@click.command()
@click.argument("cases", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--policy",
    "policy_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The policy to judge by [the default policy].",
)
@click.option("-v", "--verbose", is_flag=True, help="Every expectation, verdict and alarm, not only what failed.")
@json_option
def test(cases: tuple[Path, ...], policy_file: Path | None, verbose: bool, as_json: bool) -> Exit:
    """Hold CASES (files, or directories of *.case.toml) against a policy; 1 if one fails, 2 if one does not load."""
    files = case_files(cases)
    problems: list[tuple[Path, Problem]] = []
    reports: list[CaseReport] = []
    try:
        policy = read_policy(policy_file)
    except PolicyError as error:
        assert policy_file is not None
        return _tell([(policy_file, problem) for problem in error.problems], [], as_json)
    for path in files:
        try:
            reports.append(report_on(str(path), replay(read_case(path), policy)))
        except CaseError as error:
            problems += [(path, problem) for problem in error.problems]
    if not files:
        output.note(f"no case files: they end in {SUFFIX}")
        return Exit.USAGE
    if not as_json:
        for report in reports:
            output.echo(text_of(report, verbose=verbose))
        output.echo(totals(reports))
    if problems or as_json:
        told = _tell(problems, reports, as_json)
        if problems:
            return told
    return Exit.OK if all(report.passed for report in reports) else Exit.FAILED


def _tell(problems: list[tuple[Path, Problem]], reports: list[CaseReport], as_json: bool) -> Exit:
    if as_json:
        listed = [
            {"file": str(path), "line": one.line, "field": one.field, "message": one.message} for path, one in problems
        ]
        is_good = not problems and all(report.passed for report in reports)
        output.echo_json({"ok": is_good, "cases": [json_of(report) for report in reports], "problems": listed})
        return Exit.USAGE
    for path, problem in problems:
        place = output.cell(str(path), 200) + (f":{problem.line}" if problem.line else "")
        field = f"{problem.field}: " if problem.field else ""
        click.echo(f"{place}: {field}{problem.message}", err=True)
    return Exit.USAGE
