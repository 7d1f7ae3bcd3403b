"""`python -m central.api.openapi FILE` writes the API's description; a test compares it with the code."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from central.api.main import create_app
from central.store.pool import Store

DEFAULT = Path("docs/reference/openapi.json")


def description() -> str:
    """The OpenAPI document as it is checked in; its version is fixed: a release changes nothing."""
    document = create_app(Store("")).openapi()
    document["info"]["version"] = "1"
    return json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def main(arguments: list[str]) -> int:
    """Write it to the file named, or to its place in the repository."""
    target = Path(arguments[0]) if arguments else DEFAULT
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(description(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
