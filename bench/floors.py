"""What the machine can do at best: SHA-256, a copy, bytes through a raw socket: python -m bench.floors SINK.

Prints one JSON object, CPU seconds of one core for a GB each (10^9 bytes), and who measured the hash. Every value that is
hashed fills one block of 64 bytes, padding included, so a digest costs at least what 64 bytes of a long text cost.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bench.workspace import Target

if TYPE_CHECKING:
    from collections.abc import Callable

BLOCK = 64
ROUNDS = 5
BODY_ROWS, BODIES = 10_000, 60


def sha256() -> tuple[float, str]:
    """Give CPU seconds a GB, and the program that said so."""
    program = shutil.which("openssl")
    if program:
        done = subprocess.run(
            [program, "speed", "-seconds", "1", "-bytes", "16384", "sha256"],
            capture_output=True,
            text=True,
            check=False,
        )
        found = re.search(r"^sha256\s+([0-9.]+)k", done.stdout, re.MULTILINE)
        if found:
            version = subprocess.run([program, "version"], capture_output=True, text=True, check=True).stdout.split()[1]
            return 1e6 / float(found[1]), f"openssl speed ({version}), one core"
    text = bytes(64_000_000)
    return best(lambda: hashlib.sha256(text).digest()) / len(text) * 1e9, "hashlib on one buffer of 64 MB, one core"


def best(work: Callable[[], object]) -> float:
    """Give the CPU seconds of the best of a few rounds."""
    found = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        found = min(found, time.process_time() - began)
    return found


def copied() -> float:
    """Copy 256 MB, larger than any cache, into memory that is there already."""
    source, to = memoryview(bytearray(256_000_000)), memoryview(bytearray(256_000_000))

    def copy() -> None:
        to[:] = source

    return best(copy) / len(source) * 1e9


def sent(target: Target) -> float:
    """Send finished bodies down one raw socket to the sink, each after the answer to the one before."""
    wish = {"name": "Floor", "subtype": "CUSTOM", "customer_file_source": "USER_PROVIDED_ONLY"}
    audience = target.call("POST", f"/v25.0/{target.known['ad_account']}/customaudiences", wish)["id"]
    row = '["' + '","'.join("0123456789abcdef" * 4 for _ in range(13)) + '"]'
    keys = ["EMAIL", "PHONE", "FN", "LN", "FI", "GEN", "DOBY", "DOBM", "DOBD", "CT", "ST", "ZIP", "COUNTRY"]
    session = {"session_id": 1, "batch_seq": 1, "last_batch_flag": False}
    rows = ",".join([row] * BODY_ROWS)
    body = f'{{"session":{json.dumps(session)},"payload":{{"schema":{json.dumps(keys)},"data":[{rows}]}}}}'.encode()
    head = (
        f"POST /v25.0/{audience}/users HTTP/1.1\r\nHost: sink\r\nAuthorization: Bearer {target.known['token']}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    before, at = target.received(), urlsplit(target.known["base_url"])
    with socket.create_connection((at.hostname or "", at.port or 0)) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        began = time.process_time()
        for _ in range(BODIES):
            line.sendall(head)
            line.sendall(body)
            answer = b""
            while not answer.endswith(b"}"):
                answer += line.recv(65_536)
            if not answer.startswith(b"HTTP/1.1 200"):
                raise SystemExit("the sink refused a body")
        used = time.process_time() - began
    got = target.received()["rows"] - before["rows"]
    if got != BODY_ROWS * BODIES:
        raise SystemExit(f"the sink counted {got} rows of {BODY_ROWS * BODIES}")
    return used / (len(body) * BODIES) * 1e9


def main(known: str) -> None:
    hashing, by = sha256()
    found = {
        "hash": hashing,
        "hash_by": by,
        "digest_ns": hashing * BLOCK,
        "copy": copied(),
        "send": sent(Target(json.loads(known))),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
