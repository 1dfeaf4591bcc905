"""Ids: no two alike, whoever makes them at the same time, a forked child too."""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor

from opsconsole.sdk.new_ids import DRAWN_AT_ONCE, new_id


def test_an_id_is_its_prefix_and_a_ulid() -> None:
    assert re.fullmatch(r"run_[0-9A-HJKMNP-TV-Z]{26}", new_id("run"))


def test_threads_make_no_two_alike() -> None:
    count = 20 * DRAWN_AT_ONCE
    with ThreadPoolExecutor(max_workers=8) as threads:
        assert len(set(threads.map(lambda _: new_id("run"), range(count)))) == count


def test_a_forked_child_repeats_none_of_its_parents() -> None:
    new_id("run")  # so that some are drawn already
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        os.write(writer, new_id("run")[-16:].encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 16).decode() != new_id("run")[-16:]
    os.close(reader)
    os.close(writer)
