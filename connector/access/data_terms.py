"""Our own data terms: what an admin accepts for a destination before the first profile leaves (access.md §1 (b)).

A change of meaning is a new version, and every destination is asked again. A paragraph is one line: whoever shows it
breaks it.
"""

from __future__ import annotations

from typing import Final

DATA_TERMS_VERSION: Final = "2026-11-01"

DATA_TERMS: Final = f"""\
Data terms for exports to Meta, version {DATA_TERMS_VERSION}

1. On your instruction connector sends personal data, hashed where Meta expects a hash, from your systems to Meta. A \
hash of an e-mail address or phone number is still personal data. Depending on the segment it may say something \
sensitive about people, by the mere fact that they are in it.
2. With that the data leaves the boundary within which your own compliance measures apply. From then on Meta's terms \
and Meta's safeguards apply to it.
3. It is you who must see to it that Meta meets your duties of privacy and security, that there is a legal basis for \
each segment, and that people who objected are left out (consent, suppress, forget).
4. You may stop at any time: pause or remove the destination, and the transfer ends. What Meta already holds is \
removed there: by connector, with the audience, or in Meta's own tools.

Accepting is recorded with your name, the time and this version.
"""
