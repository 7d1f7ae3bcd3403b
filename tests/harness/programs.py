"""What some tests need of the machine: a developer may lack it, CI may not."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest


def lacking(missing: str) -> NoReturn:
    """The test cannot run here: skipped on a desk, failed where CI is set."""
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)


def require_program(name: str, package: str) -> str:
    """The path of a program."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        lacking(f"{name} is missing: apt-get install {package}")
    return found
