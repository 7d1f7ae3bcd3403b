"""The API's description that is checked in is the one of the code."""

from __future__ import annotations

import json
from pathlib import Path

from central.api.openapi import description

CHECKED_IN = Path(__file__).parents[4] / "docs" / "reference" / "openapi.json"


def test_the_description_that_is_checked_in_is_true():
    """Else run `python -m central.api.openapi` and commit what it writes."""
    assert json.loads(CHECKED_IN.read_text("utf-8")) == json.loads(description())


def test_every_address_of_the_api_wants_a_token():
    """Nothing below /api is open."""
    document = json.loads(description())
    for path, methods in document["paths"].items():
        assert path.startswith("/api/")
        assert all(one.get("security") for one in methods.values()), path
