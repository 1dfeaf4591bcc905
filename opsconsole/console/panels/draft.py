"""Something long that an operator writes: edited first, then read once more as it would be sent; only that is sent.

WRITING ─escape─▶ REVIEWING ─a─▶ sent
    ▲──────e──────┘    └─escape─▶ left, and kept
"""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widget import Widget

from opsconsole.console.actions import ViewName
from opsconsole.console.context import Context, Draft
from opsconsole.console.controls import NotDone
from opsconsole.console.panels.panel import Panel
from opsconsole.console.view.dwell import DWELL_SECONDS
from opsconsole.console.view.edit_text import BadDraft, changed_names, difference, to_text
from opsconsole.console.view.fence import fenced
from opsconsole.console.view.held_call import standing
from opsconsole.console.view.line import Line, Tone, fit_line
from opsconsole.console.widgets.lines import Lines
from opsconsole.console.widgets.text_pane import TextPane
from opsconsole.console.widgets.typed import TypedText
from opsconsole.domain.text import safe
from opsconsole.protocol.frames import ProposedCall

KEPT_MAX = 20
"""Drafts that were left unsent and come back when the same is begun again; one that was left empty does not."""


class DraftPanel(Panel):
    """The editor, or the review in its place."""

    view: ViewName = "draft"

    def __init__(self, context: Context) -> None:
        super().__init__(context, id="draft")
        self.draft: Draft | None = None
        self.reviewing = False
        self._kept: dict[tuple[str, str, str], str] = {}
        self.heading = Lines(context.painter, id="draft-heading", classes="one-line")
        self.verdict = Lines(context.painter, id="draft-verdict", classes="one-line")
        self.editor = TypedText(id="draft-editor", show_line_numbers=True, tab_behavior="focus")
        self.editor.cursor_blink = False
        self.editor.written = self._written
        self.pane = TextPane(context.painter, id="draft-review")

    def compose(self) -> ComposeResult:
        """Heading, verdict, and one of editor and review."""
        yield self.heading
        yield self.verdict
        yield self.editor
        yield self.pane

    @property
    def text(self) -> TextPane:
        """The review."""
        return self.pane

    @property
    def focus_widget(self) -> Widget:
        """The editor while writing, the review afterwards."""
        return self.pane if self.reviewing else self.editor

    def open(self, draft: Draft) -> None:
        """Start a draft."""
        self.draft = draft
        self.editor.load_text(self._kept.get(_place(draft), draft.text))
        self._show(reviewing=False)

    def review(self) -> None:
        """Leave the editor: show what would be sent."""
        self._show(reviewing=True)

    def refresh_rows(self) -> None:
        """Whether it can be sent, and what it would change."""
        draft = self.draft
        if draft is None:
            return
        width = max(10, self.heading.size.width)
        self.heading.show([fit_line(((f" {draft.title}", "title"), (self._about(), "dim")), width)])
        words, tone, value = self._verdict()
        self.verdict.show([fit_line(((f" {words}", tone),), width)])
        if self.reviewing:
            self.pane.show(self._review(value, max(10, self.pane.size.width - 1)))
            self.context.dwell.show(("draft", id(draft), self.editor.text), now=self.context.clock.monotonic())

    def do(self, action: str) -> bool:
        """Send, or go back to the editor."""
        if action == "send_draft":
            self._send()
        elif action == "edit_draft":
            self._show(reviewing=False)
        else:
            return False
        return True

    def on_text_area_changed(self) -> None:
        """Judge while typing."""
        self.refresh_rows()

    def _written(self) -> None:
        self.review()
        self.context.app.redraw()

    def _show(self, *, reviewing: bool) -> None:
        self.reviewing, self.editor.is_open = reviewing, not reviewing
        if self.draft is not None and reviewing:
            self._keep(self.draft, self.editor.text)
        self.set_class(reviewing, "-reviewing")
        self.refresh_rows()
        self.focus_widget.focus()

    def _send(self) -> None:
        draft = self.draft
        if draft is None or not self.reviewing:
            return
        if draft.about is not None:
            self.context.controls.still_open(draft.about)
        shown = ("draft", id(draft), self.editor.text)
        if not self.context.dwell.long_enough(shown, now=self.context.clock.monotonic()):
            raise NotDone(f"ignored: this has been on screen for less than {DWELL_SECONDS:g} s; press again")
        try:
            value = draft.check(self.editor.text)
        except BadDraft as problem:
            raise NotDone(f"not sent: {problem}") from None
        if draft.before is not None and value == draft.before:
            raise NotDone("not sent: nothing is changed; approve the call as it is")
        draft.send(value)
        self.draft = None
        self._kept.pop(_place(draft), None)
        self.context.app.show_view("takeover" if "as the model" in draft.title else "approvals")

    def _keep(self, draft: Draft, text: str) -> None:
        self._kept.pop(_place(draft), None)
        if text.strip():
            self._kept[_place(draft)] = text
        for old in list(self._kept)[:-KEPT_MAX]:
            del self._kept[old]

    def _about(self) -> str:
        held = self.draft.about if self.draft else None
        return "" if held is None else f"  {held.row.agent}  bound to {held.row.digest[:19]}…"

    def _verdict(self) -> tuple[str, Tone, object]:
        draft = self.draft
        assert draft is not None
        if draft.about is not None:
            current = self.context.session.queue.get(draft.about.key)
            words, tone = standing(current, now=self.context.hub_now())
            if tone not in ("ask", "alarm") or current is None or current.row.digest != draft.about.row.digest:
                return f"cannot be sent any more: {words}", "bad", None
        try:
            value = draft.check(self.editor.text)
        except BadDraft as problem:
            return f"✖ {problem}", "bad", None
        try:
            self.context.controls.must_be_heard("a decision")
        except NotDone as problem:
            return f"not now: {problem}", "warn", value
        return (
            ("✔ this is what will be sent" if self.reviewing else "✔ JSON in order; esc shows it before it is sent"),
            "good",
            value,
        )

    def _review(self, value: object, width: int) -> list[Line]:
        draft = self.draft
        assert draft is not None
        if value is None:
            return fenced("the draft, as it stands", safe(self.editor.text), width=width)
        if isinstance(value, ProposedCall):
            return fenced(f"call of {safe(value.name)}", safe(to_text(value.args)), width=width, tone="plain")
        if isinstance(draft.before, dict) and isinstance(value, dict):
            names = changed_names(draft.before, value)
            if not names:
                return [((" nothing is changed yet", "warn"),)]
            head: Line = ((f" changes: {safe(', '.join(names))}", "strong"),)
            return [head, *difference(draft.before, value, width=width)]
        return fenced("your words", safe(str(value)), width=width, tone="plain")


def _place(draft: Draft) -> tuple[str, str, str]:
    """What a draft is one of: the same start of the same answer to the same call."""
    return draft.title, draft.about.key if draft.about is not None else "", draft.text
