"""The tests. A failed assertion of the harness shows its values, as one in a test does."""

import pytest

pytest.register_assert_rewrite("tests.harness")
