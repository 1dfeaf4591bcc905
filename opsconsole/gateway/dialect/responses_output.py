"""The items of one answer of OpenAI Responses, put together and compared with their copies; writes no frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from opsconsole.gateway.dialect.interface import HELD_BYTES_MAX, Answered, CannotReask, Edited, ModelCall, Ruling
from opsconsole.gateway.dialect.json_text import Unreadable, listed, mapping, text
from opsconsole.gateway.dialect.machine import note, renamed
from opsconsole.gateway.dialect.responses_items import (
    Item,
    applicable,
    call_id,
    call_in,
    is_call,
    name_of,
    note_item,
    raw_of,
    with_arguments,
    with_call_id,
)

RECALLED_BYTES_MAX: Final = 2 * HELD_BYTES_MAX
"""Of what is kept of items that pass; beyond it the answer still passes, and cannot be asked again."""
ITEMS_MAX: Final = 4096
"""Of one answer: some of the work on them grows with the square of their number."""
CALLS_MAX: Final = 256
"""Of one answer; nobody reads more before they run."""
WORDS_IN: Final = {"function_call": "arguments", "custom_tool_call": "input"}
"""The types whose arguments come in pieces, and the field that they make."""


@dataclass(slots=True)
class Part:
    """One item, as far as it has come."""

    item: Item
    pieces: list[str] = field(default_factory=list)
    said: list[tuple[str, str]] = field(default_factory=list)
    """Name and arguments, each time that a copy told them."""
    done: bool = False

    def whole(self) -> dict[str, Any]:
        """The item with what its pieces brought, where it never ended."""
        key = WORDS_IN.get(text(self.item.get("type")))
        if self.done or key is None or not self.pieces:
            return dict(self.item)
        return {**self.item, key: "".join(self.pieces)}

    def doubtful(self) -> bool:
        """Whether two places differ on what the call is: then clients that look at one would run another."""
        own = self.whole()
        name, raw = name_of(own), raw_of(own)
        joined = "".join(self.pieces)
        return any(told != (name, raw) for told in self.said) or bool(self.pieces and joined != raw)


class Output:
    """The items of an answer, in the order in which they began."""

    def __init__(self) -> None:
        self._parts: dict[int, Part] = {}
        self._seen = 0
        self._called = 0
        self._size = 0

    # -- from events ---------------------------------------------------------------------------------------------------

    def begin(self, index: Any, item: Item) -> bool:
        """Whether the item is a call. Raises: Unreadable for an index that is none, or that comes twice."""
        if not isinstance(index, int) or isinstance(index, bool) or index < 0:
            raise Unreadable("an item without an index")
        if index in self._parts:
            raise Unreadable(f"two items at index {index}")
        calls = is_call(item)
        self._called += calls
        if len(self._parts) >= ITEMS_MAX or self._called > CALLS_MAX:
            raise Unreadable("more items or calls than an answer can have")
        self._parts[index] = Part(item)
        self._seen += not self._called
        return calls

    def begun(self, index: Any) -> bool:
        """Whether an item stands at the index."""
        return isinstance(index, int) and index in self._parts

    def arguments(self, kind: str, body: Mapping[str, Any]) -> None:
        """A piece of a call's arguments, or all of them. Raises: Unreadable where no such call is held."""
        index = body.get("output_index")
        part = self._parts[index] if isinstance(index, int) and index in self._parts else None
        if part is None or not is_call(part.item):
            raise Unreadable("arguments of a call that never began")
        if kind.endswith(".delta"):
            part.pieces.append(text(body.get("delta")))
        else:
            told = body.get("arguments") if "arguments" in body else body.get("input")
            part.said.append((name_of({**part.item, "name": body.get("name") or part.item.get("name")}), text(told)))

    def done(self, index: int, item: Item) -> None:
        """The item is whole. Raises: Unreadable where it is not the one that began."""
        part = self._parts[index]
        same = (part.item.get("type"), call_id(part.item)) == (item.get("type"), call_id(item))
        if is_call(part.item) != is_call(item) or (is_call(item) and not same):
            raise Unreadable("an item that ends as another one")
        self._size += sum(len(value) for value in item.values() if isinstance(value, str))
        if is_call(item):
            part.said.append((name_of(part.item), raw_of(item)))
        if is_call(item) or self._size <= RECALLED_BYTES_MAX:
            part.item = item
        part.done = True

    def compare(self, output: Any) -> None:
        """The copies at the end of an answer. Raises: Unreadable for a call that was never held."""
        known = [part for part in self._parts.values() if is_call(part.item)]
        for item in map(mapping, listed(output)):
            if not is_call(item):
                continue
            part = next((part for part in known if call_id(part.item) == call_id(item)), None)
            if part is None or part.item.get("type") != item.get("type"):
                raise Unreadable("a call that never began")
            known.remove(part)
            part.said.append((name_of(item), raw_of(item)))

    # -- what is asked -------------------------------------------------------------------------------------------------

    def items(self) -> list[dict[str, Any]]:
        """All of them. Raises: CannotReask, where they are more than is kept."""
        if self._size > RECALLED_BYTES_MAX:
            raise CannotReask("a longer answer than is kept")
        return [self.item(index) for index in self._parts]

    def item(self, index: int) -> dict[str, Any]:
        """The item as its end told it, under an id of its own."""
        whole, renamed = self._parts[index].whole(), self._renamed()
        return with_call_id(whole, renamed[index]) if index in renamed else whole

    def seen(self) -> list[tuple[int, dict[str, Any]]]:
        """Those that began before the first call, with their indices."""
        return [(index, part.whole()) for index, part in list(self._parts.items())[: self._seen]]

    def place(self, index: int) -> int:
        """How many began before the one at the index."""
        return list(self._parts).index(index)

    def calls(self) -> Iterator[tuple[int, ModelCall]]:
        """The calls, each with its index, under an id of its own."""
        renamed = self._renamed()
        for index, part in self._parts.items():
            if is_call(part.item):
                call = call_in(part.whole())
                yield index, replace(call, id=renamed.get(index, call.id))

    def doubtful(self) -> bool:
        """Whether clients could differ on what the answer says: copies that do not agree, an id given twice or none."""
        calls = [part for part in self._parts.values() if is_call(part.item)]
        return bool(self._renamed()) or any(part.doubtful() for part in calls)

    def replaced(self, output: Any, items: Mapping[int, Item | None]) -> Any:
        """The copies at the end, with other items in place of some, and without those that are None."""
        if not isinstance(output, list):
            return output
        left = [(index, call_id(part.item)) for index, part in self._parts.items() if is_call(part.item)]
        copies: list[Any] = []
        for copy in output:
            of = call_id(copy) if isinstance(copy, dict) and is_call(copy) else None
            found = next((entry for entry in left if entry[1] == of), None)
            if found is not None:
                left.remove(found)
            copies.append(items.get(found[0], copy) if found else copy)
        return [copy for copy in copies if copy is not None]

    def _renamed(self) -> dict[int, str]:
        """index -> another id, where a call has none or that of an earlier one."""
        called = [(index, call_id(part.item)) for index, part in self._parts.items() if is_call(part.item)]
        return renamed(called, "call")


def output_of(items: Any) -> Output:
    """That of a plain answer. Raises: Unreadable."""
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise Unreadable("an answer without output")
    output = Output()
    for index, item in enumerate(items):
        output.begin(index, item)
        output.done(index, item)
    return output


def settled(items: Mapping[int, Item], rulings: Mapping[int, Ruling]) -> dict[int, dict[str, Any] | None]:
    """What becomes of calls: themselves, edited, or one message of the model in place of all that were refused."""
    ruled = {index: applicable(items[index], ruling) for index, ruling in rulings.items()}
    refused = [index for index, ruling in ruled.items() if isinstance(ruling, Answered)]
    became: dict[int, dict[str, Any] | None] = dict.fromkeys(refused)
    if refused:
        words = note({str(index): ruling for index, ruling in ruled.items()})
        became[refused[0]] = note_item(call_id(items[refused[0]]), words)
    for index, ruling in ruled.items():
        if index not in became:
            item = items[index]
            became[index] = with_arguments(item, ruling.args) if isinstance(ruling, Edited) else dict(item)
    return became
