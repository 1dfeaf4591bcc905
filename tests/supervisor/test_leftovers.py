"""What a reaper's receipt becomes in the run's journal, and that none is lost before it is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from opsconsole.sdk.journal import Journal
from opsconsole.sdk.point_run import KEY
from opsconsole.supervisor.leftovers import deliver_supervisors, receipt_event, receipt_path
from opsconsole.supervisor.report import ENDED, POINT

RUN = "run_1"
USED = {"user_seconds": 1.0, "system_seconds": 0.5, "max_rss": 4096}
RECEIPT = {"killed": [{}], "survivors": [], "empty": True, "exit": USED, "key": "the key"}


def left(folder: Path, receipt: Any = RECEIPT) -> Path:
    """A receipt that a reaper left."""
    path = receipt_path(folder, RUN)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(receipt))
    return path


def taken_up(folder: Path) -> None:
    """The next run of this machine looks for leftovers; its hub is not there."""
    deliver_supervisors(folder, url="http://127.0.0.1:9", token=lambda: None, seconds=0.0)


def test_a_receipt_becomes_the_end_of_its_run_with_the_key_that_proves_it(tmp_path: Path) -> None:
    path = left(tmp_path)
    taken_up(tmp_path)
    journal = Journal(tmp_path, RUN, point=POINT)
    (event,) = [json.loads(body) for _, body in journal.read(1, 10)]
    assert (event["state"], event["exit"]["survivors"]) == ("failed", 0)
    assert (journal.get(ENDED), journal.get(KEY), path.exists()) == ("failed", "the key", False)
    journal.close()


def test_a_receipt_is_kept_until_its_journal_has_it(tmp_path: Path) -> None:
    path = left(tmp_path)
    held = Journal(tmp_path, RUN, point=POINT)
    taken_up(tmp_path)
    assert path.exists()
    held.close()
    taken_up(tmp_path)
    assert not path.exists()


@pytest.mark.parametrize("empty", [1, "yes", None])
def test_only_a_plain_yes_is_the_word_that_nothing_is_left(empty: Any) -> None:
    assert receipt_event(RECEIPT | {"empty": empty})["exit"]["survivors"] == 1
