"""Write the module list of ARCHITECTURE.md from the modules' docstrings; with --check only compare.

Usage: python tools/architecture.py [--check]; exit status 1 when the page is behind.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = ("wire", "device_profiles", "mqtt_line", "gsm", "gb26875", "edge_agent", "central", "simulator")
BEGIN, END = "<!-- modules -->", "<!-- /modules -->"


def modules() -> str:
    """One line a module, room by room."""
    lines = []
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            text = ast.get_docstring(ast.parse(path.read_text("utf-8")))
            if text:
                lines.append(f"- `{path.relative_to(ROOT)}`: {text.splitlines()[0]}")
        lines.append("")
    return "\n".join(lines).rstrip()


def rendered(page: str) -> str:
    """The page with the list as it should be."""
    head, rest = page.split(BEGIN, 1)
    return f"{head}{BEGIN}\n{modules()}\n{END}{rest.split(END, 1)[1]}"


if __name__ == "__main__":
    target = ROOT / "ARCHITECTURE.md"
    now = target.read_text("utf-8")
    wanted = rendered(now)
    if "--check" in sys.argv:
        sys.exit(0 if now == wanted else "ARCHITECTURE.md is behind: python tools/architecture.py")
    target.write_text(wanted, "utf-8")
