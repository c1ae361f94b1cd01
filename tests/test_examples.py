"""The gallery runs: each script proves what it claims, without warnings, and leaves its picture."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).parents[1] / "examples").glob("plot_*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_script_runs_and_leaves_a_picture(script, tmp_path):
    """Its assertions hold, it complains about nothing, and its picture is a PNG."""
    environment = {
        **os.environ,
        "MPLBACKEND": "Agg",
        # pyparsing's own warnings, of how older versions of matplotlib call it, stay off
        "PYTHONWARNINGS": "error,ignore:::pyparsing",
        "OMP_NUM_THREADS": "1",
    }
    process = subprocess.run(
        [sys.executable, script, tmp_path],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    assert process.stderr == ""
    assert [path.name for path in tmp_path.iterdir()] == [f"{script.stem}.png"]
    picture = (tmp_path / f"{script.stem}.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 20_000  # more than empty axes
