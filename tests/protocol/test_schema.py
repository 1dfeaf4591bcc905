"""The published documents: they say what the code does, and every sample frame obeys them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from opsconsole.protocol.frames import FRAMES
from opsconsole.protocol.schema import documents, main
from tests.protocol import samples

DOCS = Path(__file__).parents[2] / "docs"


def validator(document: str, model: str) -> Draft202012Validator:
    """Checks an instance against one definition of a published document."""
    published = json.loads((DOCS / "schemas" / document).read_text())
    return Draft202012Validator({"$ref": f"#/$defs/{model}", "$defs": published["$defs"]})


def test_the_published_documents_are_current() -> None:
    assert main(["--check", str(DOCS)]) == 0


def test_a_stale_document_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 0
    assert main(["--check", str(tmp_path)]) == 0
    (tmp_path / "asyncapi.json").write_text("{}")
    assert main(["--check", str(tmp_path)]) == 1
    assert "asyncapi.json" in capsys.readouterr().err


def test_wrong_usage_is_told() -> None:
    assert main([]) == 2


@pytest.mark.parametrize(
    ("direction", "name"), [(side, name) for side, all_ in samples.FRAMES.items() for name in all_]
)
def test_every_sample_frame_obeys_the_published_schema(direction: Any, name: str) -> None:
    model = next(one for one in FRAMES[direction] if one.model_fields["t"].default == name)
    validator("frames.json", model.__name__).validate(samples.FRAMES[direction][name])


@pytest.mark.parametrize("name", samples.EVENTS)
def test_every_sample_event_obeys_the_published_schema(name: str) -> None:
    validator("events.json", f"{name.capitalize()}Event").validate(samples.EVENTS[name])


def test_the_published_schema_refuses_what_the_code_refuses() -> None:
    assert not validator("frames.json", "Command").is_valid({"t": "cmd", "cmd": "no id!", "do": "kill"})


def test_asyncapi_names_every_frame_of_both_channels() -> None:
    document = documents()["asyncapi.json"]
    for channel, inbound, outbound in (
        ("agent", "agent_to_hub", "hub_to_agent"),
        ("operator", "operator_to_hub", "hub_to_operator"),
    ):
        names = {model.__name__ for model in (*FRAMES[inbound], *FRAMES[outbound])}
        assert set(document["channels"][channel]["messages"]) == names
