"""Behavior cloning learns the references, and a warm start leaves an algorithm that is ready to begin."""

import numpy as np
import pytest
import torch
from stable_baselines3.common.callbacks import BaseCallback

from tests.agents.four_tokens import (
    END,
    HORIZON,
    LOGGED_TALKS,
    PROMPTS,
    TALKS,
    assert_only_predictions_have_gradients,
    batch_of,
    log_probs,
    make_env,
    make_model,
    pass_over_turns,
    watch_hidden,
)
from tests.agents.tiny_models import SMALL, tiny_model
from textgym import Prompt
from textgym.conversations import policy_tokens
from textgym.errors import ConfigError, DatasetError
from textgym.mdp import text_env
from textgym.tokenizer import BUILTIN_MODEL, BUILTIN_SEQ2SEQ
from textgym.vector import TextGenerationVectorEnv
from textgym_agents import make, make_vec_env
from textgym_agents.algorithms.bc import BC, warm_start
from textgym_agents.buffers import offline
from textgym_agents.buffers.demonstrations import draw_reference, written
from textgym_agents.buffers.offline import LoggedEpisode
from textgym_agents.callbacks.text_logger import TextLogger
from textgym_agents.evaluation import evaluate
from textgym_agents.policies.base import LanguageModelPolicy

ID = "textgym/Copy-v0"
BOTH = pytest.mark.parametrize("seq2seq", [False, True], ids=["causal", "seq2seq"])


def build(seq2seq=False, **options):
    """On a language of four tokens, with references of one and two of them."""
    env = make_env(2, seq2seq=seq2seq)
    env.env.unwrapped.mdp.task[:] = [Prompt("a b", ("c", "a a"))]
    kwargs = {"model": make_model(seq2seq), **options.pop("policy_kwargs", {})}
    made = BC(LanguageModelPolicy, env, seed=0, max_grad_norm=1e9, policy_kwargs=kwargs, **options)
    made._setup_learn(100)
    return made


@pytest.fixture(autouse=True)
def _same_prompts():
    kept = list(PROMPTS)
    yield
    PROMPTS[:] = kept


@BOTH
def test_the_loss_is_the_mean_cross_entropy_of_the_references_tokens(seq2seq):
    made = build(seq2seq, references_per_rollout=6, learning_rate=0.0)
    made.rollout_buffer.fill([draw_reference(made.env.env.unwrapped) for _ in range(6)])
    references = np.split(made.rollout_buffer.actions[:, 0], made.rollout_buffer.lengths.cumsum()[:-1])
    assert {tuple(actions) for actions in references} == {(3, END), (1, 1, END)}
    made.train()
    expected = -torch.cat(log_probs(made.policy.lm, [tuple(actions) for actions in references])).mean()
    expected.backward()
    assert made.logger.name_to_value["train/policy_loss"] == pytest.approx(expected.item(), rel=1e-5)
    # The loss above has left its gradient beside that of train(), which took a step of length 0.
    norm = torch.sqrt(sum((p.grad / 2).square().sum() for p in made.policy.lm.parameters()))
    assert made.logger.name_to_value["train/grad_norm"] == pytest.approx(norm.item(), rel=1e-4)


@BOTH
def test_of_logged_dialogues_the_policys_turns_are_learned_and_the_partners_are_read(seq2seq):
    log = [LoggedEpisode((), 0.0, 0, turns=turns) for turns in LOGGED_TALKS]
    options = {"seed": 0, "max_grad_norm": 1e9, "learning_rate": 0.0, "references_per_rollout": 6}
    kwargs = {"model": make_model(seq2seq)}
    made = BC(LanguageModelPolicy, make_env(2, seq2seq=seq2seq, **TALKS), episodes=log, policy_kwargs=kwargs, **options)
    fill, filled, seen = made.rollout_buffer.fill, [], watch_hidden(made.policy)
    made.rollout_buffer.fill = lambda episodes, group_size: filled.extend(episodes) or fill(episodes, group_size)
    made.learn(1)
    norm = made.logger.name_to_value["train/grad_norm"]
    assert_only_predictions_have_gradients(seen)
    known = {tuple(policy_tokens(turns)): turns for turns in LOGGED_TALKS}
    drawn = [known[tuple(episode.actions.tolist())] for episode in filled]
    assert len({id(turns) for turns in drawn}) > 1
    assert made.num_timesteps == sum(len(policy_tokens(turns)) for turns in drawn)
    made.policy.zero_grad()
    expected = -torch.cat([pass_over_turns(made.policy.lm, turns)[0] for turns in drawn]).mean()
    expected.backward()
    assert made.logger.name_to_value["train/policy_loss"] == pytest.approx(expected.item(), rel=1e-5)
    assert norm == pytest.approx(
        sum(p.grad.square().sum() for p in made.policy.lm.parameters()).sqrt().item(), rel=1e-4
    )


@BOTH
def test_a_log_of_completions_is_learned_without_references(seq2seq):
    """Of a task that has none. A uniform policy says one of the two in 1 of 13 completions."""
    log = [LoggedEpisode((3, END), 0.0, 0), LoggedEpisode((1, 1, END), 0.0, prompt_ids=(1, 2))]
    optimizer = {"optimizer_kwargs": {"eps": 1e-8, "weight_decay": 0.0}}
    kwargs = {"model": make_model(seq2seq), **optimizer}
    options = {"references_per_rollout": 16, "learning_rate": 0.01, "seed": 0}
    made = BC(LanguageModelPolicy, make_env(2, seq2seq=seq2seq), episodes=log, policy_kwargs=kwargs, **options)
    made.learn(1000)
    assert sum(part.sum().exp().item() for part in log_probs(made.policy.lm, [(3, END), (1, 1, END)])) > 0.8


def test_a_log_that_does_not_fit_is_said_before_anything_is_learned(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"prompt_id": 0, "token_ids": [1, 1, 1, 1], "reward": 0}\n')
    with pytest.raises(DatasetError, match="has 4 tokens, the environment allows 3"):
        BC(
            LanguageModelPolicy, make_env(2), episodes=tmp_path / "log.jsonl", policy_kwargs={"model": make_model()},
        )  # fmt: skip


@BOTH
def test_top_k_top_p_and_temperature_leave_no_reference_impossible(seq2seq):
    made = build(seq2seq, references_per_rollout=6, learning_rate=0.0, policy_kwargs={"top_k": 1, "temperature": 2.0})
    made.rollout_buffer.fill([draw_reference(made.env.env.unwrapped) for _ in range(6)])
    made.train()
    assert made.logger.name_to_value["train/policy_loss"] < 10
    assert made.policy.sampling.top_k == 1
    batch, actions = batch_of([(3, END), (1, 1, END)], seq2seq)
    assert torch.isinf(made.policy.evaluate_actions(batch, actions)[1]).any()  # with top-k they are


@BOTH
def test_the_model_learns_to_say_the_references(seq2seq):
    """A uniform policy says one of the two in 1 of 13 completions."""
    optimizer = {"optimizer_kwargs": {"eps": 1e-8, "weight_decay": 0.0}}  # the default's is for large models
    made = build(seq2seq, references_per_rollout=16, learning_rate=0.01, policy_kwargs=optimizer)
    made.learn(2000)
    (one, other) = (part.sum().exp().item() for part in log_probs(made.policy.lm, [(3, END), (1, 1, END)]))
    assert one + other > 0.9
    assert min(one, other) > 0.25


def test_timesteps_are_the_tokens_of_references_and_callbacks_see_them():
    class Seen(BaseCallback):
        calls = ()

        def _on_rollout_start(self):
            self.calls += (("start", self.model.num_timesteps),)

        def _on_step(self):
            self.calls += (("step", self.num_timesteps),)
            return True

        def _on_rollout_end(self):
            self.calls += (("end", self.model.rollout_buffer.buffer_size),)

    made, seen, log = build(references_per_rollout=4), Seen(), TextLogger()
    made.learn(25, callback=[seen, log])
    ends = [value for name, value in seen.calls if name == "end"]
    steps = [value for name, value in seen.calls if name == "step"]
    assert [name for name, _ in seen.calls[:4]] == ["start", "step", "end", "start"]
    assert steps == np.cumsum(ends).tolist()
    assert made.num_timesteps == sum(ends) >= 25 > steps[-2]
    assert [row["timesteps"] for row in log.history] == steps
    assert not any("reward" in row for row in log.history)  # no episode was played


def test_a_callback_can_end_the_training():
    made = build(references_per_rollout=4)
    made.learn(1000, callback=lambda *_: False)
    assert made.num_timesteps < 20


def test_the_same_seed_draws_the_same_references():
    drawn = []
    for seed in (0, 0, 1):
        made = make(
            "bc", "textgym/DataToText-v0", tiny_model("gpt2", 128), n_envs=2, seed=seed, references_per_rollout=5
        )
        made.learn(1)
        drawn.append(made.rollout_buffer.actions[:, 0].tolist())
    assert drawn[0] == drawn[1] != drawn[2]


@pytest.mark.parametrize(("prompt", "reference", "options", "text", "ended"), [
    ("Say hi:", "hello you", {}, " hello you", True),
    ("Say hi: ", "hello you", {}, "hello you", True),
    ("Say hi:", " hello you", {}, " hello you", True),
    ("Say hi:", "", {}, " ", True),
    ("Say hi:", "hello you", {"stop": "o"}, " hello", False),
    ("Say hi:", "a b c d e f g h i j k l", {}, " a b c d e f g h", False),
])  # fmt: skip
def test_a_reference_is_encoded_as_the_environment_would_see_it(tokenizer, prompt, reference, options, text, ended):
    env = TextGenerationVectorEnv(
        1, [Prompt(prompt, (reference,))], tokenizer=tokenizer, max_prompt_tokens=8, max_new_tokens=8, **options
    )
    actions = written(env.mdp, env.task[0], reference)
    assert tokenizer.decode(actions, skip_special_tokens=True) == text
    assert (actions[-1] == tokenizer.eos_token_id) == ended
    env.reset()
    for step, action in enumerate(actions):  # it ends with its last action, not before
        terminated = env.step(np.array([action]))[2]
        assert terminated[0] == (step == len(actions) - 1)


def test_masked_references_are_left_out(tokenizer):
    banned = tokenizer.encode(" lamp")
    prompts = [Prompt("Say:", ("lamp", "river")), Prompt("Tell:", ("lamp",)), Prompt("Talk:")]
    options = {"tokenizer": tokenizer, "max_prompt_tokens": 8, "max_new_tokens": 8}
    env = TextGenerationVectorEnv(1, prompts, banned_tokens=banned, **options)
    env.reset(seed=0)
    said = {tokenizer.decode(draw_reference(env).actions, skip_special_tokens=True) for _ in range(20)}
    assert said == {" river"}
    late = TextGenerationVectorEnv(1, prompts, min_new_tokens=8, **options)
    with pytest.raises(ConfigError, match=r"None of 1000 prompts.*min_new_tokens"):
        draw_reference(late)


def test_a_task_without_references_names_those_that_have_some(tokenizer):
    class Plain(list):
        name, max_prompt_tokens, max_new_tokens = "Plain", 8, 8

    env = make_vec_env(make_env(2).env)
    env.env.unwrapped.mdp.task = Plain([Prompt("a b")])
    with pytest.raises(ConfigError, match=r"'Plain' has no references.*DataToText, Summarization"):
        BC(LanguageModelPolicy, env, policy_kwargs={"model": make_model()})
    with pytest.raises(ConfigError, match="references_per_rollout is 0"):
        build(references_per_rollout=0)


@pytest.mark.parametrize("options", [{}, {"skill": 0.5}])
def test_a_conversation_is_learned_from_dialogues_of_a_player(monkeypatch, options):
    monkeypatch.setattr(offline, "DIALOGUES", 20)
    made = make("bc", "textgym/TwentyQuestions-v0", "textgym/tiny", references_per_rollout=4, seed=0, **options)
    mdp = text_env(made.env).mdp
    log = mdp.task.dialogues(20, **{"skill": 1.0, **options})  # the best one's by default
    said = [dialogue["turns"][0]["text"].strip() for dialogue in log]
    first = [mdp.rules.tokenizer.decode(one.actions.tolist()) for one in made._log]
    assert len(set(said)) > 3
    assert all(text.strip().startswith(word) for text, word in zip(first, said, strict=True))
    assert made.learn(30).num_timesteps >= 30
    assert (
        warm_start(make("ppo", "textgym/TwentyQuestions-v0", "textgym/tiny", n_envs=2, n_steps=4), 20).num_timesteps
        >= 20
    )


# ---------------------------------------------------------------------- warm start

KINDS = {
    "ppo": {"n_steps": 10, "batch_size": 32},
    "trpo": {"n_steps": 10, "batch_size": 32, "cg_max_steps": 2},
    "maskable_ppo": {"n_steps": 10, "batch_size": 32},
    "nlpo": {"n_steps": 10, "batch_size": 32},
    "rloo": {"prompts_per_rollout": 2, "group_size": 2},
}


def small(name="ppo", kind="gpt2", **options):
    return make(name, ID, tiny_model(kind), n_envs=4, seed=0, env_kwargs=SMALL, **{**KINDS[name], **options})


def weights(policy):
    return torch.cat([p.detach().flatten() for p in policy.lm.parameters()])


@pytest.mark.parametrize("kind", ["gpt2", "t5"])
@pytest.mark.parametrize("name", KINDS)
def test_a_warm_start_moves_the_weights_and_leaves_the_rest_as_new(name, kind):
    made = small(name, kind)
    before, own, rate = weights(made.policy), made.policy.optimizer, made.policy.optimizer.param_groups[0]["lr"]
    teacher = warm_start(made, 100, references_per_rollout=4)
    assert teacher.policy is made.policy
    assert teacher.num_timesteps >= 100
    assert made.num_timesteps == 0
    assert not torch.equal(weights(made.policy), before)
    assert made.policy.optimizer is own
    assert not own.state
    assert own.param_groups[0]["lr"] == rate
    mask = getattr(made.policy, "mask_policy", None)
    assert mask is None or torch.equal(weights(mask), weights(made.policy))
    made.learn(40)
    assert made.num_timesteps >= 40
    assert own.state


def test_the_reference_model_moves_along_unless_it_is_to_stay():
    for move in (True, False):
        made = small(kl_coef=0.1)
        before = weights(made.policy)
        warm_start(made, 100, references_per_rollout=4, move_reference=move)
        reference = torch.cat([p.flatten() for p in made.policy.reference.copy.parameters()])
        assert torch.equal(reference, weights(made.policy) if move else before)
        made.learn(40)
        assert (abs(made.rollout_buffer.stats["kl"]) < 1e-4) == move


def test_with_lora_the_adapters_are_warm_started_and_the_reference_stays():
    made = small(kl_coef=0.1, lora=2)
    frozen = [p.clone() for p in made.policy.lm.parameters() if not p.requires_grad]
    warm_start(made, 100, references_per_rollout=4)
    assert all(
        torch.equal(a, b)
        for a, b in zip(frozen, [p for p in made.policy.lm.parameters() if not p.requires_grad], strict=True)
    )
    assert any("lora_B" in name and p.any() for name, p in made.policy.lm.named_parameters())
    made.learn(40)
    assert abs(made.rollout_buffer.stats["kl"]) > 1e-4


def test_a_warm_start_in_the_midst_of_training_starts_the_rows_anew():
    made = small()
    made.learn(32)
    warm_start(made, 50, references_per_rollout=4)
    made.learn(32, reset_num_timesteps=False)
    assert made.num_timesteps == 80


def test_algorithms_that_are_more_than_a_sampler_are_refused():
    with pytest.raises(ConfigError, match=r"ARS can't be warm-started.*model=folder"):
        warm_start(make("ars", ID, n_envs=2), 10)


@pytest.mark.slow
@pytest.mark.parametrize(("model", "task", "before", "least"), [
    (BUILTIN_MODEL, "SentimentContinuation", 0.54, 0.75),
    (BUILTIN_SEQ2SEQ, "Translation", 0.576, 0.59),
])  # fmt: skip
def test_the_built_in_models_improve(model, task, before, least):
    """Mean rewards of 200 test prompts before training, and 0.86 and 0.61 after it."""
    made = make("bc", f"textgym/{task}-v0", model, seed=0)
    made.learn(20_000)
    assert evaluate(made, f"textgym/{task}-v0").reward > least > before


def test_horizon_cuts_references():
    made = build(references_per_rollout=2)
    mdp = made.env.env.unwrapped.mdp
    assert written(mdp, mdp.task[0], "a b c a b") == [1, 2, 3]
    assert HORIZON == 3
