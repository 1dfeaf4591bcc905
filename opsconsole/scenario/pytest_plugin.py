"""The pytest plugin: collects `*.case.toml`, and gives `opsconsole_run`, which drives a team's own agent against one.

pytest loads this module in every session of an environment that has opsconsole, so what takes time to import (the
policy engine, the model APIs) is imported where a case is at hand.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from opsconsole.policy.interface import Policy
    from opsconsole.scenario.case import Scenario
    from opsconsole.scenario.driving import Agent, LiveRun
    from opsconsole.scenario.playing import People
    from opsconsole.scenario.report import CaseReport

SUFFIX = ".case.toml"
OPTION = "opsconsole_policy"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The policy that cases are held against: `--opsconsole-policy`, else the setting `opsconsole_policy`."""
    group = parser.getgroup("opsconsole", "cases of agents")
    group.addoption("--opsconsole-policy", metavar="FILE", help="the policy file that cases are held against")
    parser.addini(OPTION, "the policy file that cases are held against, relative to the root of the tests")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> CaseFile | None:
    """A case file is a file of tests: one for each of its expectations."""
    if file_path.name.endswith(SUFFIX):
        found: CaseFile = CaseFile.from_parent(parent, path=file_path)
        return found
    return None


class CaseFailed(Exception):
    """Something that must hold of a case does not; the text is the difference."""


class CaseFile(pytest.File):
    """One case under the policy, replayed once."""

    def collect(self) -> Iterable[ExpectationItem]:
        from opsconsole.scenario.files import read_case
        from opsconsole.scenario.replay import replay
        from opsconsole.scenario.report import report_on

        scenario = _loaded(lambda: read_case(self.path))
        if not scenario.expectations:
            raise self.CollectError(f"{self.path}: the case says nothing that must hold: give it an [[expect]]")
        report = report_on(str(self.path), replay(scenario, _policy(self.config)))
        for number, checked in enumerate(report.checked):
            name = f"{number + 1}: {checked.expectation}"
            item: ExpectationItem = ExpectationItem.from_parent(self, name=name, report=report, number=number)
            yield item


class ExpectationItem(pytest.Item):
    """One thing that must hold of a case."""

    def __init__(self, *, report: CaseReport, number: int, **more: Any) -> None:
        super().__init__(**more)
        self._report, self._checked = report, report.checked[number]

    def runtest(self) -> None:
        from opsconsole.scenario.report import difference_lines, text_of

        if not self._checked.passed:
            differences = "\n".join(difference_lines(self._checked))
            raise CaseFailed(f"{self._checked.expectation}\n{differences}\n\n{text_of(self._report)}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The difference, without a stack: it lies in no code of the team's."""
        return str(excinfo.value) if isinstance(excinfo.value, CaseFailed) else super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        line = self._checked.expectation.line
        return self.path, None if line is None else line - 1, f"{self.path.name}: {self._checked.expectation}"


class Driver:
    """What the fixture gives: call it with a case and an agent."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._request = request

    def __call__(
        self,
        case: str | Path | Scenario,
        agent: Agent,
        *,
        policy: str | Path | Policy | None = None,
        people: People = "recorded",
        timeout_seconds: float = 60.0,
        check: bool = True,
    ) -> LiveRun:
        """Drives `agent` against the recorded answers of `case`, and fails with a readable difference.

        `case` and `policy` are files beside the test (or absolute), or what such files hold; without a policy it is
        that of the settings. With `check` off, a broken expectation is only told by `LiveRun.passed`.
        """
        __tracebackhide__ = True
        from opsconsole.scenario.case import Scenario as Read
        from opsconsole.scenario.driving import AgentFailed, drive
        from opsconsole.scenario.files import read_case

        path = "the case" if isinstance(case, Read) else str(case)
        scenario = case if isinstance(case, Read) else _loaded(lambda: read_case(self._beside(case)))
        try:
            live = drive(path, scenario, self._policy(policy), agent, people=people, timeout_seconds=timeout_seconds)
        except AgentFailed as failed:
            raise pytest.fail.Exception(f"{path}: {failed}", pytrace=False) from failed.__cause__
        if check and not live.passed:
            pytest.fail(str(live), pytrace=False)
        return live

    def _policy(self, given: str | Path | Policy | None) -> Policy:
        if given is None:
            return _policy(self._request.config)
        from opsconsole.scenario.files import read_policy

        return _loaded(lambda: read_policy(self._beside(given))) if isinstance(given, str | Path) else given

    def _beside(self, name: str | Path) -> Path:
        return self._request.path.parent / name


@pytest.fixture
def opsconsole_run(request: pytest.FixtureRequest) -> Driver:
    """Drives the team's own agent against the recorded answers of a case: `opsconsole_run("one.case.toml", agent)`."""
    return Driver(request)


def _policy(config: pytest.Config) -> Policy:
    """The policy of this session, read once."""
    from opsconsole.scenario.files import read_policy

    given = config.getoption("--opsconsole-policy") or config.getini(OPTION)
    if _POLICY not in config.stash:
        path = None
        if given:
            here = config.invocation_params.dir if config.getoption("--opsconsole-policy") else config.rootpath
            path = here / str(given)
        config.stash[_POLICY] = _loaded(lambda: read_policy(path))
    return config.stash[_POLICY]


_POLICY = pytest.StashKey["Policy"]()


def _loaded(load: Any) -> Any:
    """What a file holds; what is wrong with it is told without a stack."""
    from opsconsole.errors import ConfigError

    try:
        return load()
    except ConfigError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None
