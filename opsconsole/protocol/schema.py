"""Writes the published description of the wire (AsyncAPI and JSON Schemas) from the code, or checks that it is current.

python -m opsconsole.protocol.schema docs/            write
python -m opsconsole.protocol.schema --check docs/    exit 1 and name the files that differ
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from opsconsole.protocol import events, rows
from opsconsole.protocol.frames import FRAMES, Direction
from opsconsole.protocol.limits import SUBPROTOCOL

_CHANNELS: dict[str, tuple[str, Direction, Direction]] = {
    "agent": ("/v1/agent", "agent_to_hub", "hub_to_agent"),
    "operator": ("/v1/operator", "operator_to_hub", "hub_to_operator"),
}
_EVENTS: tuple[type[BaseModel], ...] = (
    events.RunEvent,
    events.StateEvent,
    events.MessageEvent,
    events.ToolEvent,
    events.UsageEvent,
    events.NoteEvent,
    events.LinkEvent,
    events.CommandEvent,
)
_ROWS: tuple[type[BaseModel], ...] = (rows.RunRow, rows.ApprovalRow, rows.HubRow)


def documents() -> dict[str, dict[str, Any]]:
    """File name, relative to the docs folder -> the document."""
    frames = tuple(dict.fromkeys(frame for group in FRAMES.values() for frame in group))
    return {
        "asyncapi.json": _asyncapi(frames),
        "schemas/frames.json": _schemas("Frames", frames),
        "schemas/events.json": _schemas("Events", _EVENTS),
        "schemas/rows.json": _schemas("Rows", _ROWS),
    }


def _schemas(title: str, models: tuple[type[BaseModel], ...], template: str = "#/$defs/{model}") -> dict[str, Any]:
    _, schema = models_json_schema(
        [(model, "validation") for model in models], ref_template=template, title=f"{SUBPROTOCOL} {title}"
    )
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _asyncapi(frames: tuple[type[BaseModel], ...]) -> dict[str, Any]:
    definitions = _schemas("Frames", frames, "#/components/schemas/{model}")["$defs"]
    operations: dict[str, Any] = {}
    channels: dict[str, Any] = {}
    for name, (address, inbound, outbound) in _CHANNELS.items():
        models = dict.fromkeys(FRAMES[inbound] + FRAMES[outbound])
        channels[name] = {
            "address": address,
            "messages": {model.__name__: {"$ref": f"#/components/messages/{model.__name__}"} for model in models},
        }
        for action, direction in (("receive", inbound), ("send", outbound)):
            operations[f"{name}_{action}"] = {
                "action": action,
                "channel": {"$ref": f"#/channels/{name}"},
                "messages": [{"$ref": f"#/channels/{name}/messages/{m.__name__}"} for m in FRAMES[direction]],
            }
    messages = {
        model.__name__: {
            "name": model.model_fields["t"].default,
            "summary": (model.__doc__ or "").strip().splitlines()[0],
            "payload": {"$ref": f"#/components/schemas/{model.__name__}"},
        }
        for model in frames
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "opsconsole",
            "version": SUBPROTOCOL,
            "description": "Frames between points, hub and consoles.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": definitions},
    }


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Exit code 0 when written or current, 1 when `--check` found a difference, 2 on wrong usage."""
    check = "--check" in arguments
    places = [argument for argument in arguments if argument != "--check"]
    if len(places) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    docs = Path(places[0])
    stale = [name for name, document in documents().items() if _read(docs / name) != _text(document)]
    if check:
        for name in stale:
            print(f"{docs / name} is not what the code says: run `make docs`", file=sys.stderr)
        return 1 if stale else 0
    for name in stale:
        (docs / name).parent.mkdir(parents=True, exist_ok=True)
        (docs / name).write_text(_text(documents()[name]))
    return 0


def _read(path: Path) -> str | None:
    return path.read_text() if path.exists() else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
