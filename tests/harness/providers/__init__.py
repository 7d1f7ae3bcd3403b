"""Providers as their pages describe them: each checks what it is sent and answers as the real one does.

Their signatures are worked out anew from the providers' pages: a fake that shared the product's code would
believe its mistakes.
"""

from __future__ import annotations

import json
from typing import Any

from tests.harness.sinks import Say


def says(content: dict[str, Any], status: int = 200) -> Say:
    """An answer in JSON."""
    return Say(status, json.dumps(content, ensure_ascii=False).encode(), {"content-type": "application/json"})
