"""What an agent imports: connect, run, pass every risky call through the gate; `opsconsole.sdk.sync` is the twin."""

from opsconsole.errors import CallDenied, CallInterrupted, HubLost, HubUnreachable, NoCurrentRun, RunInUse, RunStopped
from opsconsole.sdk.guard import guard
from opsconsole.sdk.hub import Hub, connect
from opsconsole.sdk.on_hub_lost import OnHubLost
from opsconsole.sdk.reply import ModelReply, OperatorCall
from opsconsole.sdk.run import Run, current_run
from opsconsole.sdk.usage import TurnUsage

__all__ = [
    "CallDenied",
    "CallInterrupted",
    "Hub",
    "HubLost",
    "HubUnreachable",
    "ModelReply",
    "NoCurrentRun",
    "OnHubLost",
    "OperatorCall",
    "Run",
    "RunInUse",
    "RunStopped",
    "TurnUsage",
    "connect",
    "current_run",
    "guard",
]
