"""The command line: whatever is wrong, one line of error and exit code 1 or 2, never a traceback."""

import sys
from pathlib import Path

import gymnasium
import pytest
from typer.testing import CliRunner

from textgym.errors import ConfigError
from textgym_agents import make
from textgym_agents.benchmark import launch
from textgym_agents.cli.app import app
from textgym_agents.evaluation.held_out import evaluate

runner = CliRunner()
SMALL = ["--timesteps", "32", "--n-envs", "2", "--eval-prompts", "2", "--max-new-tokens", "2"]
PPO = ["--algo-kwarg", "n_steps=4", "--algo-kwarg", "batch_size=8"]
MODULE = """
import gymnasium
import textgym
from gymnasium.envs.registration import WrapperSpec
from gymnasium.utils import RecordConstructorArgs
PROMPTS = [textgym.Prompt(f"Say {word}:", (word,)) for word in ("hi", "ho", "ha", "he", "hu") * 4]
class Own:
    name, max_prompt_tokens, max_new_tokens = "Own", 12, 3
    truncation_side, stop, metrics = "left", (), ("exact_match",)
    def __init__(self, split="train", api_key=""):
        assert api_key in ("", "hf_SECRET")
        self.split = split
    def __len__(self):
        return len(PROMPTS)
    def __getitem__(self, index):
        return PROMPTS[index]
textgym.register("NAME/List-v0", PROMPTS, "chrf", max_prompt_tokens=12, max_new_tokens=3)
textgym.register("NAME/Class-v0", Own, "chrf")
class Half(gymnasium.Wrapper, RecordConstructorArgs):
    def __init__(self, env):
        RecordConstructorArgs.__init__(self)
        super().__init__(env)
    def step(self, action):
        observation, reward, *ends = self.env.step(action)
        return observation, reward / 2, *ends
COPY = dict(
    entry_point="textgym.registration:make_env",
    vector_entry_point="textgym.registration:make_vector_env",
    kwargs={"task_name": "Copy", "max_new_tokens": 3},
)
gymnasium.register("NAME/Wrapped-v0", **COPY, additional_wrappers=(WrapperSpec("Half", "NAME:Half", {}),))
gymnasium.register("NAME/Limit-v0", **COPY, max_episode_steps=1)
def made(**options):
    return Half(gymnasium.make("textgym/Copy-v0", **{"max_new_tokens": 3, **options}))
gymnasium.register("NAME/Made-v0", entry_point=made)
gymnasium.register("NAME/Narrow-v0", entry_point=lambda split: made(split=split))
def short(samples):
    return [1 / (1 + len(sample.completion)) for sample in samples]
def broken(samples):
    return 1 / 0
NUMBER = 5
"""

# What is wrong, as a command. OUT is a folder, X stands for a value below.
BAD = {
    "list": ["x", "--algorithm", "--rewards x"],
    "info": [
        "CartPole-v1",
        "",
        "Nosuch",
        "kopie-v0",
        "a:b",
        "nosuchmodule:a/B-v0",
        "os:a/B-v0",
        "Copy --split dev",
        "Copy --split ''",
        "Copy --env-kwarg x",
        "Copy --env-kwarg =1",
        "Copy --env-kwarg nosuch=1",
        "Copy --env-kwarg seed=-1",
        "Copy --env-kwarg seed=1 --env-kwarg seed=2",
        "Copy --env-kwarg split=test",
        "Copy --env-kwarg sampling=random",
        "Copy --env-kwarg max_new_tokens=0",
        "Copy --env-kwarg max_new_tokens=x",
        "Copy --env-kwarg stop=5",
        "Copy --env-kwarg chat=true",
        "Copy --env-kwarg tokenizer=nosuch/name/x",
        "Copy --env-kwarg template=x",
        "Copy --env-kwarg form=x",
        "Copy --env-kwarg infos=x",
        "Copy --dataset nosuch.csv",
        "Copy --dataset ''",
        "Copy --dataset /",
        "Copy --dataset a,b",
        "Copy --columns x",
        "Copy --columns prompt=",
        "Copy --columns =x",
        "Copy --columns prompt=a,prompt=b",
        "Copy --columns prompt=a++b",
        "Copy --columns prompt=text",
        "Copy --import nosuchmodule",
        "Copy --import ./nosuch.py",
        "Copy --import ''",
        "Copy Copy",
        "--nosuch",
        "Copy --env-kwarg load_kwargs=5 --dataset x.csv",
        'Copy --env-kwarg load_kwargs={"a":1}',
        "Copy --env-kwarg columns=5 --dataset .",
        "Copy --env-kwarg max_prompt_tokens=10000000000000",
    ],
    "play": [
        "",
        "Nosuch",
        "Copy --rounds 0",
        "Copy --rounds x",
        "Copy --seed -1",
        "Copy --seed 4294967296",
        "Copy --split dev",
        "Copy --reward blue",
        "Copy --reward 5",
        "Copy --reward ''",
        "Copy --reward bleu+",
        "Copy --reward a:b",
        "Copy --reward os:nosuch",
        "Copy --reward os:sep",
        "Copy --reward nosuch.py:f",
        "Copy --reward judge",
        "Copy --reward (bleu",
        "Copy --reward -",
        "Copy --dataset nosuch.parquet",
        "Copy --env-kwarg reward=5",
    ],
    "evaluate": [
        "",
        "Nosuch",
        "Copy --model nosuch/model/x",
        "Copy --model ./nosuch",
        "Copy --model ''",
        "Copy --model x.gguf",
        "Copy --model textgym/none",
        "Copy --model /",
        "Copy --num-prompts 0",
        "Copy --num-prompts 5000",
        "Copy --seed -1",
        "Copy --seed 4294967296",
        "Copy --best-of 0",
        "Copy --metrics blue",
        "Copy --metrics bleu,blue",
        "Copy --reward blue",
        "Copy --split dev --num-prompts 2",
        "Copy --temperature 0",
        "Copy --temperature -1",
        "Copy --temperature nan",
        "Copy --temperature inf",
        "Copy --temperature x",
        "Copy --policy-kwarg mask_top_p=0.5",
        "Copy --policy-kwarg x=1",
        "Copy --policy-kwarg top_k=-1",
        "Copy --policy-kwarg top_k=2.5",
        "Copy --policy-kwarg top_k=a",
        "Copy --policy-kwarg top_p=0",
        "Copy --policy-kwarg top_p=2",
        "Copy --policy-kwarg lora=2",
        "Copy --policy-kwarg dtype=float8",
        "Copy --policy-kwarg model=x",
        "Copy --max-new-tokens 0",
        "Copy --max-new-tokens 5000 --num-prompts 1",
        "Copy --max-prompt-tokens x",
        "Copy --n-envs 0",
        "Copy --dataset nosuch.jsonl",
        "Copy --json / --num-prompts 1 --max-new-tokens 1",
        "Copy --policy-kwarg temperature=1 --policy-kwarg temperature=1",
    ],
    "train": [
        "",
        "Nosuch",
        "Copy --algo nosuch",
        "Copy --algo PPO",
        "Copy --algo ''",
        "Copy --algo bc+ppo",
        "Copy --timesteps 0",
        "Copy --timesteps x",
        "Copy --timesteps nan",
        "Copy --seed -1",
        "Copy --seed 4294967296",
        "Copy --n-envs 0",
        "Copy --n-envs 2.5",
        "Copy --kl-coef -1",
        "Copy --kl-coef inf",
        "Copy --kl-coef nan",
        "Copy --kl-coef x",
        "Copy --algo bc --kl-coef 0.1",
        "Copy --lora 0",
        "Copy --lora -1",
        "Copy --lora x",
        "Copy --learning-rate nan",
        "Copy --learning-rate -1",
        "Copy --learning-rate inf",
        "Copy --learning-rate x",
        "Copy --algo-kwarg n_epochs=0",
        "Copy --algo-kwarg batch_size=0",
        "Copy --algo-kwarg batch_size=3.5",
        "Copy --algo-kwarg gamma=2",
        "Copy --algo-kwarg gamma=NaN",
        "Copy --algo-kwarg gamma=x",
        "Copy --algo-kwarg clip_range=-1",
        "Copy --algo-kwarg clip_range=[1]",
        "Copy --algo-kwarg max_grad_norm=-1",
        "Copy --algo-kwarg ent_coef=NaN",
        "Copy --algo-kwarg device=nope",
        "Copy --algo-kwarg device=cuda",
        "Copy --algo-kwarg rollout_buffer_class=x",
        "Copy --algo-kwarg seed=1",
        "Copy --algo-kwarg policy=x",
        "Copy --algo-kwarg nosuch=1",
        "Copy --algo-kwarg n_steps=0",
        "Copy --algo-kwarg target_kl=-1",
        "Copy --algo-kwarg x",
        "Copy --algo dqn --algo-kwarg buffer_size=0",
        "Copy --algo rloo --algo-kwarg group_size=1",
        "Copy --algo grpo --algo-kwarg n_epochs=0",
        "Copy --algo nlpo --algo-kwarg mask_top_p=2",
        "Copy --policy-kwarg nope=1",
        "Copy --policy-kwarg optimizer_class=x",
        "Copy --temperature inf",
        "Copy --schedule x",
        "Copy --schedule learning_rate=x",
        "Copy --schedule nosuch=linear(1,2,3)",
        "Copy --schedule learning_rate=linear(1,2,2.5)",
        "Copy --schedule learning_rate=linear(1)",
        "Copy --reward blue",
        "Copy --reward 1",
        "Copy --reward-transform x",
        "Copy --reward-transform scale=x",
        "Copy --reward-transform clip=1:-1",
        "Copy --split dev",
        "Copy --eval-split dev",
        "Copy --eval-prompts 0",
        "Copy --eval-prompts 5000",
        "Copy --eval-every 0",
        "Copy --patience 3",
        "Copy --patience 0 --eval-every 8",
        "Copy --stop-metric nosuch --eval-every 8 --patience 1",
        "Copy --log nosuch",
        "Copy --log csv,nosuch",
        "Copy --warm-start -1",
        "Copy --checkpoint-every 0",
        "Copy --schedule-timesteps 0",
        "Copy --model nosuch/model/x",
        "Copy --model ./nosuch",
        "Copy --model ''",
        "Copy --dataset nosuch.csv",
        "Copy --env-kwarg seed=-1",
        "Copy --env-kwarg nosuch=1",
        "Copy --resume nosuch",
        "--resume nosuch",
        "--resume /",
        "--resume . --algo ppo",
        "--resume nosuch --timesteps 0",
        "Copy --import nosuchmodule",
        "Copy --max-new-tokens 0",
        "Copy --max-prompt-tokens 600",
        "Copy Copy",
    ],
    "benchmark": [
        "",
        "--algos ppo",
        "--tasks Copy",
        "--algos nosuch --tasks Copy --out OUT",
        "--algos ppo --tasks Nosuch --out OUT",
        "--algos ppo --tasks Copy",
        "--algos ppo,ppo --tasks Copy --out OUT --seeds 0",
        "--suite nosuch",
        "--suite text --tasks Nosuch",
        "--algos ppo --tasks Copy --out OUT --timesteps x",
        "--algos ppo --tasks Copy --out OUT --timesteps 0",
        "--algos ppo --tasks Copy --out OUT --timesteps Nosuch=5",
        "--algos ppo --tasks Copy --out OUT --jobs -1",
        "--algos ppo --tasks Copy --out OUT --algo-kwarg nosuch=1",
        "--algos ppo --tasks Copy --out OUT --algo-kwarg a2c.n_steps=1",
        "--algos ppo --tasks Copy --out OUT --algo-kwarg gamma=2",
        "--algos bc --tasks Copy --out OUT --kl-coef 1",
        "--algos ppo --tasks Copy --out OUT --policy-kwarg nope=1",
        "--algos ppo --tasks Copy --out OUT --reward blue",
        "--algos ppo --tasks Copy --out OUT --warm-share 2",
        "--algos ppo --tasks Copy --out OUT --model ./nosuch",
        "--algos ppo --tasks Copy --out OUT --threads 0",
        "--algos ppo --tasks Copy --out OUT --temperature x",
        "--algos all,-nosuch --tasks Copy --out OUT",
        "--algos + --tasks Copy --out OUT",
        "--algos ppo --tasks , --out OUT",
    ],
    "pretrain": [
        "",
        "--out OUT --model nosuch",
        "--out OUT --steps 0",
        "--out OUT --seed -1",
        "--out OUT --vocabulary 5",
        "--out OUT --hidden-size 1",
        "--out OUT --layers 0",
        "--out OUT --seed 4294967296",
    ],
    "speed": ["x", "--nosuch"],
    "nosuch": [""],
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


def run(*words, text=None):
    return runner.invoke(app, [str(word) for word in words], prog_name="textgym", input=text)


def words_of(line, folder):
    return [str(folder / "out") if word == "OUT" else "" if word == "''" else word for word in line.split()]


@pytest.mark.parametrize(
    ("command", "line"), [pytest.param(c, line, id=f"{c} {line}"[:90]) for c, lines in BAD.items() for line in lines]
)
def test_what_is_wrong_is_one_line(folder, command, line):
    extra = [*SMALL, *(PPO if "algo" not in line else [])] if command == "train" and "resume" not in line else []
    words = words_of(line, folder)
    extra = [word for pair in zip(extra[::2], extra[1::2], strict=True) if pair[0] not in words for word in pair]
    result = run(command, *words, *(extra if words and command == "train" else []))
    assert result.exit_code in (1, 2), (result.output, result.exception)
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert "Traceback" not in result.output
    assert "error: unexpected" not in result.stderr, result.stderr
    if result.exit_code == 1:
        assert sum(one.startswith("error: ") for one in result.stderr.splitlines()) == 1, result.stderr


@pytest.fixture
def module(folder, request):
    name = f"own_{abs(hash(request.node.name))}"
    (folder / f"{name}.py").write_text(MODULE.replace("NAME", name), encoding="utf-8")
    yield name
    sys.modules.pop(name, None)
    for kind in ("List", "Class", "Wrapped", "Limit", "Made", "Narrow"):
        gymnasium.registry.pop(f"{name}/{kind}-v0", None)


def test_own_tasks_work_in_every_command(folder, module):
    ids = [f"{module}:{module}/{kind}-v0" for kind in ("List", "Class", "Wrapped", "Made")]
    for task in ids:
        for result in (
            run("list", "--import", module),
            run("info", task),
            run("play", task, "--rounds", "1", text="hi\n"),
            run("evaluate", task, "--num-prompts", "2", "--reward", f"{module}:short"),
        ):
            assert result.exit_code == 0, (result.output, result.exception)
    words = ["--algos", "zero_shot", "--tasks", ",".join(ids), "--seeds", "1", "--eval-prompts", "2", "--out", "b[/]x"]
    result = run("benchmark", *words, "--timesteps", "8", "--reward", f"{module}:short", "--jobs", "0")
    assert result.exit_code == 0, (result.output, result.exception)
    assert "b[/]x" in result.stdout


KINDS = ("Class", "Wrapped", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("List", "Made")))


@pytest.mark.parametrize("kind", KINDS)
def test_own_tasks_are_trained_and_resumed(folder, module, kind):
    for result in (
        run("train", f"{module}:{module}/{kind}-v0", *SMALL, *PPO, "--reward", f"{module}.py:short", "--out", "o"),
        run("train", "--resume", "o"),
    ):
        assert result.exit_code == 0, (result.output, result.exception)


def test_wrappers_of_an_id_are_there(folder, module):
    sys.path.insert(0, str(folder))
    policy = make("zero_shot", "textgym/Copy-v0", n_envs=1, env_kwargs={"max_new_tokens": 3})
    whole = evaluate(policy, "textgym/Copy-v0", 4, env_kwargs={"max_new_tokens": 3}, deterministic=True)
    for kind in ("Wrapped", "Made"):
        id = f"{module}:{module}/{kind}-v0"
        half = evaluate(policy, id, 4, deterministic=True)
        assert [one.prompt for one in half.samples] == [one.prompt for one in whole.samples]
        assert half.rewards.tolist() == pytest.approx((whole.rewards / 2).tolist(), abs=1e-5)
        assert make("ppo", id, n_envs=2, n_steps=4).learn(8).num_timesteps == 8
    assert "Half" in run("info", f"{module}/Wrapped-v0").stdout
    for kind, said in (("Limit", "ended without its completion, as a TimeLimit"), ("Narrow", r"give it \*\*kwargs")):
        with pytest.raises(ConfigError, match=said):
            evaluate(policy, f"{module}/{kind}-v0", 2)


def test_an_error_in_code_of_ones_own_is_one_line_and_debug_shows_it(folder, module):
    words = ["evaluate", "Copy", "--num-prompts", "1", "--max-new-tokens", "1", "--reward", f"{module}:broken"]
    result = run(*words)
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "unexpected ZeroDivisionError: division by zero" in result.stderr
    assert f"{module}.py, line" in result.stderr
    assert "--debug" in result.stderr
    assert isinstance(run("--debug", *words).exception, ZeroDivisionError)


def test_brackets_in_paths_print_as_they_are(folder):
    result = run("evaluate", "Copy", "--num-prompts", "1", "--max-new-tokens", "1", "--json", "j[/]x[red].json")
    assert result.exit_code == 0, result.exception
    assert "j[/]x[red].json" in result.stdout
    result = run("train", "Copy", *SMALL, *PPO, "--out", "a[/]b[red]")
    assert result.exit_code == 0, result.exception
    assert "are in a[/]b[red]" in result.stdout


def test_texts_with_markup_and_controls_print_as_they_are(folder):
    (folder / "x.jsonl").write_text(
        '{"text": "[/] [red]a\\u001b]0;owned\\u0007 \\u009b2J\\u007f\\u202e b"}\n' * 3, encoding="utf-8"
    )
    for result in (
        run("info", "Copy", "--dataset", "x.jsonl"),
        run("play", "Copy", "--dataset", "x.jsonl", "--rounds", "1", text="a\x1b[2J [/]\x9b\n"),
        run("evaluate", "Copy", "--dataset", "x.jsonl", "--split", "train", "--num-prompts", "1"),
        run("evaluate", "Copy", "--dataset", "x\x1b[2J\x9b.jsonl"),
        run("evaluate", "No\x1b[2J\x9b"),
    ):
        assert result.exit_code in (0, 1), (result.output, result.exception)
        assert not {"\x1b", "\x07", "\x7f", "\x9b", "\u202e"} & set(result.output)
        assert "[/] [red]a" in result.stdout or result.exit_code == 1


def test_columns_and_parallel_texts(folder):
    for ending, words in (("en", ["a", "b", "c"]), ("de", ["A", "B", "C"]), ("fr", ["1", "2", "3"])):
        (folder / f"x.{ending}").write_text("\n".join(words * 1) + "\n", encoding="utf-8")
    result = run("info", "Translation", "--dataset", "x.en,x.de,x.fr", "--columns", "prompt=en,references=de+fr")
    assert result.exit_code == 0, (result.output, result.exception)
    assert "references: A" in result.stdout
    result = run("info", "Translation", "--dataset", "x.en,x.de", "--columns", "prompt=en,references=it")
    assert "There is no column 'it'" in result.stderr


def test_a_dataset_with_one_split_is_divided_and_that_is_said_once(folder):
    (folder / "x.csv").write_text("text\n" + "".join(f"word {i}\n" for i in range(30)))
    result = run("train", "Copy", "--dataset", "x.csv", *SMALL, *PPO, "--out", "o")
    assert result.exit_code == 0, (result.output, result.exception)
    assert result.stderr.count("a tenth of its prompts is held out") == 1
    config = Path("o/config.json").read_text()
    assert '"split": "not_held_out"' in config
    assert '"eval_split": "held_out"' in config
    result = run("evaluate", "Copy", "--dataset", "x.csv", "--num-prompts", "3", "--max-new-tokens", "1")
    assert "3 prompts of held_out" in result.stdout
    result = run("train", "Copy", "--dataset", "x.csv", "--split", "train", *SMALL, *PPO, "--out", "p")
    assert "no split 'validation'" in result.stderr


@pytest.mark.parametrize("command", ["train", "benchmark"])
def test_a_secret_reaches_no_file(folder, command, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "")
    (folder / "x.csv").write_text("text\n" + "".join(f"word {i}\n" for i in range(30)))
    secret = ["--env-kwarg", 'load_kwargs={"token": "hf_SECRET", "sep": ","}']
    if command == "train":
        result = run("train", "Copy", "--dataset", "x.csv", *secret, *SMALL, *PPO, "--log", "csv", "--out", "o")
        assert run("train", "--resume", "o", "--timesteps", "40").exit_code == 0
    else:
        words = ["--algos", "zero_shot", "--tasks", "Copy", "--seeds", "1", "--eval-prompts", "1", "--timesteps", "8"]
        result = run("benchmark", *words, "--dataset", "x.csv", *secret, "--out", "o", "--jobs", "0")
        assert '"eval_split": "held_out"' in Path("o/config.json").read_text()
    assert result.exit_code == 0, (result.output, result.exception)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 5
    assert not [path for path in files if b"hf_SECRET" in path.read_bytes()]
    assert "hf_SECRET" not in result.output


def test_processes_of_a_benchmark_get_a_secret_by_no_file(folder, module, monkeypatch):
    monkeypatch.setattr(launch.shutil, "rmtree", lambda *_, **__: None)  # so that what runs share stays
    words = ["--algos", "zero_shot", "--tasks", f"{module}:{module}/Class-v0", "--seeds", "1", "--eval-prompts", "1"]
    result = run("benchmark", *words, "--timesteps", "8", "--env-kwarg", "api_key=hf_SECRET", "--out", "o")
    assert result.exit_code == 0, (result.output, result.exception)
    files = [path for path in (folder / "o").rglob("*") if path.is_file()]
    assert Path("o/work").is_dir()
    assert not [path for path in files if b"hf_SECRET" in path.read_bytes()]
    assert "hf_SECRET" not in result.output


def test_a_secret_of_a_run_from_python_reaches_no_file(folder, monkeypatch):
    from textgym_agents.report.secrets import without_secrets
    from textgym_agents.runs.config import TrainConfig, read_config
    from textgym_agents.runs.train import resume, train

    (folder / "x.csv").write_text("text\n" + "".join(f"word {i}\n" for i in range(30)))
    config = TrainConfig(
        "textgym/Copy-v0",
        timesteps=32,
        n_envs=2,
        eval_prompts=2,
        eval_split="held_out",
        env_kwargs={"dataset": "x.csv", "max_new_tokens": 2, "load_kwargs": {"token": "hf_SECRET", "sep": ","}},
        algo_kwargs={"n_steps": 4, "batch_size": 8},
    )
    train(config, "o", command=["train", "--env-kwarg", 'load_kwargs={"token": "hf_SECRET"}'], progress=False)
    files = [path for path in (folder / "o").rglob("*") if path.is_file()]
    assert not [path for path in files if b"hf_SECRET" in path.read_bytes()]
    assert read_config(folder / "o")[0].env_kwargs["load_kwargs"] == {"sep": ","}
    resume("o", timesteps=40, progress=False)
    assert without_secrets({"a": [{"password": "x"}]}) == {"a": [{"password": "***"}]}


def test_a_benchmark_on_a_held_out_part_trains_on_the_others(folder):
    from textgym_agents.benchmark.config import BenchmarkConfig
    from textgym_agents.benchmark.held_out import HeldOut
    from textgym_agents.benchmark.run import _train
    from textgym_agents.benchmark.store import Key

    (folder / "x.csv").write_text("text\n" + "".join(f"word {i}\n" for i in range(30)))
    tasks = {"textgym/Copy-v0": 1}
    config = BenchmarkConfig(("zero_shot",), tasks, eval_split="held_out", env_kwargs={"dataset": "x.csv"})
    key = Key("zero_shot", "textgym/Copy-v0", 0)
    trained = _train(config, key, HeldOut(config, key), folder).algorithm
    held_out = gymnasium.make("textgym/Copy-v0", dataset="x.csv", split="held_out").unwrapped.task
    task = trained.get_env().env.unwrapped.task
    assert len(task) == 27
    assert not {task[i].text for i in range(27)} & {held_out[i].text for i in range(3)}
    one, other = (BenchmarkConfig(("ppo",), tasks, env_kwargs={"load_kwargs": {"api_key": key}}) for key in "st")
    assert one.differences(other) == []
