"""Settings of a benchmark's algorithms: from a file, and several of each."""

import json

import pytest

from textgym.errors import ConfigError
from textgym_agents.cli.benchmark import config_of

COMMAND = "textgym benchmark --tasks Copy --out x --algos"


def test_a_sweep_has_a_variant_for_each_combination():
    config = config_of(f"{COMMAND} ppo,bc+ppo,greedy --sweep learning_rate=1e-4,1e-3 --sweep n_epochs=1,2")
    assert config.algos == (
        "ppo[learning_rate=0.0001,n_epochs=1]",
        "ppo[learning_rate=0.0001,n_epochs=2]",
        "ppo[learning_rate=0.001,n_epochs=1]",
        "ppo[learning_rate=0.001,n_epochs=2]",
        "bc+ppo",
        "greedy",
    )
    assert config_of(f"{config.command()} --out x") == config  # the command that it notes needs no sweep


def test_a_sweep_adds_to_a_variant_and_leaves_out_what_takes_no_such_argument():
    swept = config_of(f"{COMMAND} 'rloo[group_size=8]',dqn --sweep kl_coef=0,0.1").algos
    assert swept == ("rloo[group_size=8,kl_coef=0]", "rloo[group_size=8,kl_coef=0.1]", "dqn")  # dqn has no penalty


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("ppo --sweep learning_rate=1e-5:1e-3", "expected values joined by commas"),
        ("ppo --sweep learning_rate", "expected NAME=VALUE"),
        ("ppo,a2c --sweep group_size=4,8", "none of ppo, a2c takes it"),
        ("ppo --sweep n_epochs=0,1", "n_epochs is 0, expected an integer of at least 1"),
    ],
)
def test_sweeps_that_make_no_sense(words, message):
    with pytest.raises(ConfigError, match=message):
        config_of(f"{COMMAND} {words}")


def test_settings_come_from_a_file_and_single_ones_from_the_command(tmp_path):
    path = tmp_path / "settings.json"
    path.write_text(json.dumps({"ppo": {"n_epochs": 4, "batch_size": 256}, "rloo": {"group_size": 8}}))
    config = config_of(f"{COMMAND} ppo,rloo --settings {path} --algo-kwarg ppo.n_epochs=3")
    assert config.for_algorithm("ppo") == {"n_epochs": 3, "batch_size": 256}
    assert config.for_algorithm("rloo") == {"group_size": 8}
    path.unlink()
    assert config_of(f"{config.command()} --out x") == config  # nor the file


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "can't be read as JSON"),
        ("{", "can't be read as JSON"),
        ("[1]", "expected JSON such as"),
        ('{"ppo": 4}', "expected JSON such as"),
        ('{"pppo": {}}', "ppo"),
        ('{"ppo": {"n_epoch": 4}}', "takes no argument 'n_epoch'"),
        ('{"rloo": {"group_size": 4}}', "is for 'rloo', but --algos is 'ppo'"),
    ],
)
def test_files_of_settings_that_make_no_sense(tmp_path, content, message):
    path = tmp_path / "settings.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=message):
        config_of(f"{COMMAND} ppo --settings {path}")
