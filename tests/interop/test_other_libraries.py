"""Other libraries learn in textgym's environments, each in a virtual environment that ``make test-interop`` builds.

The scripts run against the installed wheel, on gymnasium.make and gymnasium.make_vec as they are. Random actions score
0.10 in the task of letters; the built-in model's reviews begin at 0.53.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "examples" / "other_libraries"
LIBRARIES = ROOT / ".venv-interop"
PAGE = ROOT / "docs" / "other-libraries.md"

# (library, its script, arguments, the largest reward before, the least after)
RUNS = [
    ("cleanrl", "cleanrl_ppo.py", "", 0.2, 0.8),
    ("cleanrl", "cleanrl_ppo.py", "--pretrained", 0.6, 0.7),
    ("sb3", "sb3_ppo.py", "", 0.2, 0.7),
    ("sb3", "sb3_ppo.py", "--algorithm maskable", 0.2, 0.7),
    ("sb3", "sb3_ppo.py", "--algorithm recurrent", 0.2, 0.8),
    ("tianshou", "tianshou_ppo_dqn.py", "", 0.2, 0.5),
    ("tianshou", "tianshou_ppo_dqn.py", "--algorithm dqn", 0.2, 0.6),
    ("torchrl", "torchrl_ppo.py", "", 0.2, 0.8),
    ("rllib", "rllib_ppo.py", "", 0.2, 0.7),
    ("minari", "minari_record.py", "", 0.2, 0.8),
]

# What a library does with the built-in environments besides.
CHECKS = {
    "torchrl": """
import gymnasium as gym, textgym
from torchrl.envs import GymEnv, GymWrapper, SerialEnv
from torchrl.envs.utils import check_env_specs

check_env_specs(GymEnv("textgym/Copy-v0"))
check_env_specs(SerialEnv(2, lambda: GymEnv("textgym/Copy-v0", categorical_action_encoding=True)))
env = GymEnv("textgym/Copy-v0", infos="numbers").auto_register_info_dict()
check_env_specs(env)
assert env.rollout(3)["next", "num_tokens"].tolist() == [1, 2, 3]
for mode in ("Disabled", "SameStep"):
    envs = gym.make_vec("textgym/Copy-v0", num_envs=4, autoreset_mode=mode, infos="numbers")
    env = GymWrapper(envs, categorical_action_encoding=True)
    check_env_specs(env)
    assert env.rollout(40, break_when_any_done=False).shape == (4, 40)
""",
    "tianshou": """
import gymnasium as gym
from tianshou.algorithm.random import MARLRandomDiscreteMaskedOffPolicyAlgorithm as Random
from tianshou.data import Collector, VectorReplayBuffer
from tianshou.env import ShmemVectorEnv, SubprocVectorEnv

def make():
    return gym.make("textgym:textgym/Copy-v0", infos="numbers")

if __name__ == "__main__":
    for kind in (SubprocVectorEnv, ShmemVectorEnv):
        envs = kind([make] * 2)
        buffer = VectorReplayBuffer(64, 2)
        collector = Collector(Random(action_space=make().action_space), envs, buffer)
        collector.reset()
        collector.collect(n_step=32, random=True)
        assert len(buffer) == 32 and buffer.info.num_tokens.max() > 1
        envs.close()
""",
    "rllib": """
import ray

@ray.remote
def prompt():
    import gymnasium
    return gymnasium.make("textgym:textgym/Copy-v0").reset(seed=0)[1]["prompt"]

ray.init(num_cpus=1, include_dashboard=False)
assert ray.get(prompt.remote()).startswith("Words:")
""",
    "minari": """
import gymnasium, minari, textgym

env = gymnasium.make("textgym/Copy-v0", infos="numbers", reward="0.5*chrf + 0.5*exact_match")
for kind in ("arrow", "hdf5"):
    collector = minari.DataCollector(env, record_infos=True, data_format=kind)
    for seed in range(3):
        collector.reset(seed=seed)
        while not collector.step(int(env.action_space.sample()))[2]:
            pass
    collector.create_dataset(f"copy/{kind}-v0", description="random")
    dataset = minari.load_dataset(f"copy/{kind}-v0")
    assert dataset.total_episodes == 3
    assert set(dataset[0].infos) == {*env.reset()[1]}
    assert str(dataset.recover_environment().unwrapped.reward) == "0.5 * ChrF() + 0.5 * ExactMatch()"
""",
    "cleanrl": """
import gymnasium, textgym

def make():
    env = gymnasium.make("textgym/Copy-v0", allowed_tokens=range(20))
    env = textgym.wrappers.MaskObservation(textgym.wrappers.CompactVocabulary(env))
    return gymnasium.wrappers.RecordEpisodeStatistics(gymnasium.wrappers.FlattenObservation(env))

envs = gymnasium.vector.SyncVectorEnv([make] * 2)
assert envs.reset(seed=0)[0].shape == (2, 2 * (24 + 16) + 20)
""",
}


def python_of(library: str) -> Path:
    python = LIBRARIES / library / "bin" / "python"
    if not python.exists():
        pytest.skip("make test-interop builds the environments")
    return python


def run(library: str, *command: str, folder: Path) -> str:
    """What a script prints that sees the installed package alone, on one thread."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    settings = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "MINARI_DATASETS_PATH": str(folder)}
    done = subprocess.run(
        [str(python_of(library)), *command],
        capture_output=True,
        encoding="utf-8",
        cwd=folder,
        env={**kept, **settings},
        timeout=1200,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(("library", "script", "arguments", "before", "after"), RUNS)
def test_it_learns(library: str, script: str, arguments: str, before: float, after: float, tmp_path: Path) -> None:
    printed = run(library, str(EXAMPLES / script), *arguments.split(), folder=tmp_path)
    print(printed)
    numbers = re.search(r"reward before ([\d.]+), after \d+ [a-z ]+ ([\d.]+) \(", printed)
    assert numbers is not None, printed
    assert float(numbers[1]) <= before
    assert float(numbers[2]) >= after


@pytest.mark.slow
@pytest.mark.parametrize("library", CHECKS)
def test_it_takes_the_built_in_environments(library: str, tmp_path: Path) -> None:
    assert "site-packages" in run(library, "-c", "import textgym; print(textgym.__file__)", folder=tmp_path)
    script = tmp_path / "check.py"
    script.write_text(CHECKS[library], encoding="utf-8")
    run(library, str(script), folder=tmp_path)


# Quick ones


def test_every_script_is_run_and_short() -> None:
    scripts = {path.name: path.read_text(encoding="utf-8").splitlines() for path in EXAMPLES.glob("*.py")}
    assert {*scripts} == {script for _, script, *_ in RUNS} | {"letters.py"}
    assert all(len(lines) <= 120 for lines in scripts.values())


def test_the_makefile_builds_what_is_run() -> None:
    named = re.search(r"^LIBRARIES := (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert named is not None
    requirements = {path.stem for path in (EXAMPLES / "requirements").glob("*.txt")}
    assert {*named[1].split()} == requirements == {library for library, *_ in RUNS}


def test_the_page_has_every_run_and_the_versions() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for library, script, arguments, *_ in RUNS:
        assert f"`python examples/other_libraries/{script} {arguments}`".replace(" `", "`") in page
        for line in (EXAMPLES / "requirements" / f"{library}.txt").read_text(encoding="utf-8").splitlines():
            if "==" in line and not line.startswith("#"):
                assert line.partition("==")[2] in page, line
