"""The wheel holds both packages with their assets and nothing else; installed alone, its command works."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from textgym.tokenizer import BUILTIN_MODELS, BUILTIN_SENTIMENT

ROOT = Path(__file__).parent.parent
BUILTIN = [name.replace("textgym/", "textgym/assets/") for name in (*BUILTIN_MODELS, BUILTIN_SENTIMENT)]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr + built.stdout
    (path,) = folder.glob("*.whl")
    return path


def names_in(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as file:
        return file.namelist()


def test_wheel_holds_both_packages_and_nothing_else(wheel: Path) -> None:
    names = names_in(wheel)
    top = {name.partition("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {"textgym", "textgym_agents"}
    for package, source in {"textgym": ROOT, "textgym_agents": ROOT / "agents"}.items():
        modules = {path.relative_to(source).as_posix() for path in (source / package).rglob("*.py")}
        assert modules == {name for name in names if name.startswith(f"{package}/") and name.endswith(".py")}
        assert f"{package}/py.typed" in names
    assert not [name for name in names if re.search(r"(^|/)(tests|__pycache__|\.\w+)/|/(test_|conftest)", name)]


def test_wheel_holds_the_assets(wheel: Path) -> None:
    assets = {path.relative_to(ROOT).as_posix() for path in (ROOT / "textgym" / "assets").rglob("*") if path.is_file()}
    assert assets <= {*names_in(wheel)}
    files = ("tokenizer.json", "config.json", "model.safetensors")
    assert {f"{folder}/{file}" for folder in BUILTIN for file in files} <= assets


def test_wheel_names_its_command_license_and_extras(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        info = {name.partition("/")[2]: name for name in file.namelist() if ".dist-info/" in name}
        assert "textgym = textgym_agents.cli:main" in file.read(info["entry_points.txt"]).decode()
        assert "licenses/LICENSE" in info
        metadata = file.read(info["METADATA"]).decode()
    for extra in ("judge", "peft", "gguf", "stemmer", "verse"):
        assert f"Provides-Extra: {extra}\n" in metadata


def test_wheel_is_small(wheel: Path) -> None:
    assert wheel.stat().st_size < 16_000_000


@pytest.mark.slow
def test_the_command_works_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    # The Makefile says where the CPU build of PyTorch comes from.
    run("make", f"VENV={venv}", f"PYTHON={sys.executable}", f"{venv}/.torch", cwd=ROOT)
    python, command = venv / "bin" / "python", venv / "bin" / "textgym"
    install = ("-m", "pip", "install", "--quiet", "--no-compile", "--constraint", ROOT / "constraints-cpu.txt")
    run(python, *install, wheel, cwd=tmp_path)
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    where = run(python, "-c", "import textgym, textgym_agents; print(textgym.__file__)", cwd=folder)
    assert where.startswith(str(venv))
    assert "textgym/Copy-v0" in run(command, "list", cwd=folder)
    assert "reward" in run(command, "evaluate", "textgym/Copy-v0", "--num-prompts", "4", cwd=folder)


def run(*command: str | Path, cwd: Path) -> str:
    """The output of a command that doesn't see this checkout."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    environment = {**kept, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, cwd=cwd, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
