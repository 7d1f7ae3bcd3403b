"""Many rows in one statement. Law of this file: they travel as one JSON array, in their order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

_ENCODER = msgspec.json.Encoder()


def rows(values: Sequence[Any]) -> str:
    """For `json_to_recordset`: dataclasses or mappings, times as ISO 8601, bytes as base64."""
    return _ENCODER.encode(values).decode()
