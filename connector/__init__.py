"""connector: segments of customer profiles as Meta Custom Audiences.

Everything the command line does, a call from here does. Nothing prints, nothing is global, everything is typed.
"""

from connector.access.gate import GateReport
from connector.checks import check_access
from connector.config import Config
from connector.destinations import DestinationWish, add_destination, pause_destination, remove_destination
from connector.errors import (
    AccessError,
    ConfigError,
    ConnectorError,
    GuardError,
    InterruptedRunError,
    RejectedError,
    SourceError,
    TransientError,
)
from connector.export import export_segment, plan_segment
from connector.job import Options
from connector.profiles.steps import Explanation, explain, explain_many
from connector.report import Progress, Report
from connector.state import Destination, State

__all__ = [
    "AccessError",
    "Config",
    "ConfigError",
    "ConnectorError",
    "Destination",
    "DestinationWish",
    "Explanation",
    "GateReport",
    "GuardError",
    "InterruptedRunError",
    "Options",
    "Progress",
    "RejectedError",
    "Report",
    "SourceError",
    "State",
    "TransientError",
    "add_destination",
    "check_access",
    "explain",
    "explain_many",
    "export_segment",
    "pause_destination",
    "plan_segment",
    "remove_destination",
]
