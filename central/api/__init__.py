"""The HTTP side of the centre."""

from central.api.main import create_app

__all__ = ["create_app"]
