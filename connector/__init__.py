"""connector: segments of customer profiles as Meta Custom Audiences.

Everything the command line does, a call from here does. Nothing prints, nothing is global, everything is typed. A name is
loaded when it is first asked for: explaining one value needs no database and no network library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
    from connector.forgetting import Certificate, forget_person
    from connector.job import Options
    from connector.profiles.steps import Explanation, explain, explain_many
    from connector.report import Progress, Report
    from connector.state import Destination, State

_PLACES = {
    "access.gate": ("GateReport",),
    "checks": ("check_access",),
    "config": ("Config",),
    "destinations": ("DestinationWish", "add_destination", "pause_destination", "remove_destination"),
    "errors": (
        "AccessError", "ConfigError", "ConnectorError", "GuardError", "InterruptedRunError", "RejectedError", "SourceError",
        "TransientError",
    ),
    "export": ("export_segment", "plan_segment"),
    "forgetting": ("Certificate", "forget_person"),
    "job": ("Options",),
    "profiles.steps": ("Explanation", "explain", "explain_many"),
    "report": ("Progress", "Report"),
    "state": ("Destination", "State"),
}  # fmt: skip

__all__ = [
    "AccessError",
    "Certificate",
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
    "forget_person",
    "pause_destination",
    "plan_segment",
    "remove_destination",
]


def __getattr__(name: str) -> object:
    for place, names in _PLACES.items():
        if name in names:
            return getattr(import_module(f"connector.{place}"), name)
    raise AttributeError(f"module connector has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
