"""The examples of searches run as they stand."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("search_random", "on rows that no search has seen"), ("search_optuna", "after 20 trials")],
)
def test_examples(name, expected, tmp_path):
    """An example ends, prints its result and leaves its picture."""
    result = subprocess.run(
        [sys.executable, ROOT / "examples" / f"{name}.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    assert expected in result.stdout
    assert (tmp_path / f"{name}.png").exists()
