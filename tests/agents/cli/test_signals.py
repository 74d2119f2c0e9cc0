"""A signal ends the program in one line, whatever it is doing."""

import os
import signal
import subprocess
import sys

import pytest

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.mark.parametrize("number", NUMBERS)
def test_while_modules_are_imported(number, tmp_path):
    """Also where a library makes another error of it."""
    if signal.getsignal(number) == signal.SIG_IGN:
        pytest.skip("ignored here, and so by what is started from here")
    (tmp_path / "typer.py").write_text(
        "import time\nprint('importing', flush=True)\ntry:\n    time.sleep(60)\n"
        "except BaseException:\n    raise ImportError('typer is broken')"
    )
    paths = os.pathsep.join([str(tmp_path), *(entry for entry in sys.path if entry)])
    process = subprocess.Popen(
        [sys.executable, "-m", "textgym_agents.cli", "list"],
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert process.stdout.readline() == b"importing\n"
        process.send_signal(number)
        _, error = process.communicate(timeout=50)
    finally:
        process.kill()
    assert (process.returncode, error) == (1, b"error: interrupted\n")
