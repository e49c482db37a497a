"""An export in a process of its own, with its own peak of memory: not the one it began with as our fork."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_ALONE = """
import re, sys
from pathlib import Path
from connector.cli.main import main
try:
    main()
finally:
    print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1], file=sys.stderr)
"""


def export_alone(*words: str, folder: Path | None = None) -> tuple[dict[str, Any], int]:
    """Run ``connector export segment`` with these words: the envelope, and the peak in bytes."""
    command = [sys.executable, "-c", _ALONE, "export", "segment", *words, "--json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    return json.loads(done.stdout), int(done.stderr.split()[-1]) * 1024
