"""The events of runs that work: a mix like that of real agents, about 250 bytes each, as text; it sends nothing."""

from __future__ import annotations

TEXT = (
    "The refund batch holds 214 rows, 3 of them without a customer id; I will look these up before anything is paid "
    "out, and leave the rest as it is until the check is done."
)
RESULT = "orders 41233, 41237 and 41250 have no customer; created by import 7 on the same day; state open; total 318.40"
QUERY = "SELECT id, customer_id, total FROM orders WHERE batch = {seq} AND customer_id IS NULL ORDER BY created_at"
_WORDS = TEXT.split()
TEXTS = [" ".join(_WORDS[(place * step + step) % len(_WORDS)] for place in range(len(_WORDS))) for step in range(1, 98)]
"""The same words in other orders: an agent that said the same again and again would be an alert."""
TURNS_MAX = 100
"""Below the hub's default limit, so that no run is paused for it."""


def opening(run: str) -> list[str]:
    """The first two events of a run."""
    return [
        f'{{"seq":1,"ts":1.5,"type":"run","agent":"bench","name":"{run}","caps":["hold","pause","kill_cooperative"]}}',
        '{"seq":2,"ts":1.5,"type":"state","state":"working"}',
    ]


def _message(seq: int, ts: float) -> str:
    return f'{{"seq":{seq},"ts":{ts:.3f},"type":"message","id":"m{seq}","role":"assistant","text":"{TEXTS[seq % 97]}"}}'


def _running(seq: int, ts: float) -> str:
    return (
        f'{{"seq":{seq},"ts":{ts:.3f},"type":"tool","id":"c{seq // 5}","name":"sql_query","kind":"tool_call",'
        f'"status":"running","args":{{"query":"{QUERY.format(seq=seq)}"}},"read_only":true}}'
    )


def _completed(seq: int, ts: float) -> str:
    return (
        f'{{"seq":{seq},"ts":{ts:.3f},"type":"tool","id":"c{(seq - 1) // 5}","name":"sql_query","kind":"tool_call",'
        f'"status":"completed","result":"{RESULT}","duration_ms":12.75}}'
    )


def _usage(seq: int, ts: float) -> str:
    turns = min(seq // 5 + 1, TURNS_MAX)
    return (
        f'{{"seq":{seq},"ts":{ts:.3f},"type":"usage","model":"gpt-4o-mini","provider":"openai","turns":{turns},'
        f'"input_tokens":{turns * 900},"output_tokens":{turns * 120},"cache_read_tokens":{turns * 400},'
        '"served_model":"gpt-4o-mini-2024-07-18"}'
    )


def _note(seq: int, ts: float) -> str:
    return (
        f'{{"seq":{seq},"ts":{ts:.3f},"type":"note","level":"info","text":"step {seq}: {RESULT}",'
        f'"data":{{"step":{seq},"phase":"lookup","rows":3}}}}'
    )


MIX = (_running, _completed, _usage, _message, _note)
"""One turn of an agent, in order; which one is next follows from the sequence number."""


def events(first: int, count: int, ts: float) -> list[str]:
    """The events `first` and on of any run, as JSON."""
    return [MIX[seq % len(MIX)](seq, ts) for seq in range(first, first + count)]


def frame(run: str, gen: str, items: list[str]) -> bytes:
    """An event frame."""
    return f'{{"t":"event","run":"{run}","gen":"{gen}","events":[{",".join(items)}]}}'.encode()
