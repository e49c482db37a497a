"""What the figures were measured on: cores, CPU features that matter, memory, versions. No names of hosts, no paths."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

FLAGS = ("sha_ni", "avx2", "avx512f", "vaes")
PACKAGES = ("polars", "polars-hash", "httpx", "numpy", "phonenumbers", "facebook-business")


def describe() -> dict[str, Any]:
    """Describe this machine; what cannot be read is left out."""
    found: dict[str, Any] = {
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "system": f"{platform.system()} {platform.machine()}",
        "load": round(os.getloadavg()[0], 1),
        "versions": {"Python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
    }
    info = Path("/proc/cpuinfo")
    if info.exists():
        text = info.read_text()
        flags = set(next(iter(re.findall(r"^flags\s*: (.*)$", text, re.MULTILINE)), "").split())
        found["flags"] = [flag for flag in FLAGS if flag in flags]
    return found
