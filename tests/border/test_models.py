"""Models of others: every damage is a ModelError or TokenizerError with the path, before anything is trained."""

import errno
import shutil
import struct

import pytest
import torch
from safetensors.torch import load_file, save_file

from textgym.errors import ModelError, StorageError, TextGymError, TokenizerError
from textgym.tokenizer import builtin_folder
from textgym_agents import LanguageModelPolicy, make, models
from textgym_agents.evaluation.held_out import load_policy

ID = "textgym/Copy-v0"
FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "generation_config.json")


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(builtin_folder(), tmp_path / "a[1] model")


def truncated(content):
    return content[: len(content) // 2]


DAMAGES = {
    "truncated": truncated,
    "empty": lambda content: b"",
    "garbage": lambda content: bytes(range(256)) * 10,
    "huge header": lambda content: struct.pack("<Q", 2**60) + content[8:],
    "list": lambda content: b"[]",
    "null": lambda content: b"null",
    "latin-1": lambda content: b'{"a": "\xe9"}',
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", FILES)
def test_damaged_files(folder, name, damage):
    if not (folder / name).exists():
        pytest.skip("the model has no such file")
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(DAMAGES[damage](content))
    if name == "tokenizer_config.json" and damage in ("list", "null"):
        pytest.skip("transformers takes it")
    read = models.decoder_start_token_id if name == "generation_config.json" else models.load
    with pytest.raises(TextGymError) as caught:
        read(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("names", [["config.json"], ["model.safetensors"], ["tokenizer.json", "tokenizer_config.json"]])
def test_missing_files(folder, names):
    for name in names:
        (folder / name).unlink(missing_ok=True)
    with pytest.raises(TextGymError):
        make("ppo", ID, str(folder), n_envs=1)


def change(folder, edit):
    weights = load_file(folder / "model.safetensors")
    edit(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def test_a_missing_weight_is_named(folder):
    change(folder, lambda weights: weights.pop("transformer.h.2.attn.c_attn.weight"))
    with pytest.raises(ModelError, match=r"lacks weights: transformer\.h\.2\.attn\.c_attn\.weight\."):
        models.load(folder)


@pytest.mark.parametrize(
    "names",
    [
        ["transformer.h.9.ln_1.weight"],  # a layer more than the configuration says
        ["transformer.h.0.attn.q_norm.weight"],  # layers of another kind
        [f"other.{i}" for i in range(100)],
    ],
)
def test_weights_of_another_model_are_refused(folder, names):
    change(folder, lambda weights: weights.update({name: torch.zeros(2) for name in names}))
    with pytest.raises(ModelError, match=names[0].replace(".", r"\.")):
        models.load(folder)


def test_weights_beside_the_model_are_warned_of(folder):
    whole = models.load_weights(folder).state_dict()
    change(folder, lambda weights: weights.update({"score.weight": torch.zeros(2), "v_head.bias": torch.zeros(1)}))
    with pytest.warns(UserWarning, match=r"weights that are not used: score\.weight, v_head\.bias\."):
        model = models.load_weights(folder)
    assert all(torch.equal(weight, whole[name]) for name, weight in model.state_dict().items())


def test_weights_of_another_size(folder):
    change(folder, lambda weights: weights.update({"transformer.ln_f.weight": torch.zeros(3)}))
    with pytest.raises(ModelError, match=r"'transformer\.ln_f\.weight' in the shape \(3,\), .* says \(\d+,\)"):
        models.load(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers(folder, value):
    change(folder, lambda weights: weights["transformer.ln_f.weight"].fill_(value))
    with pytest.raises(ModelError, match=r"NaN or infinite.*transformer\.ln_f\.weight"):
        make("ppo", ID, str(folder), n_envs=1)
    lm, _ = models.load()
    torch.nn.init.constant_(lm.transformer.ln_f.weight, value)
    with pytest.raises(ModelError, match="NaN or infinite"):
        make("rloo", ID, lm, n_envs=1)


def test_a_folder_without_a_tokenizer(folder):
    for path in folder.glob("tokenizer*"):
        path.unlink()
    with pytest.raises(TokenizerError, match="has no tokenizer"):
        make("ppo", ID, str(folder), n_envs=1)
    shutil.copy(builtin_folder() / "tokenizer_config.json", folder) if (
        builtin_folder() / "tokenizer_config.json"
    ).exists() else (folder / "tokenizer_config.json").write_text("{}")
    with pytest.raises(TokenizerError):
        make("ppo", ID, str(folder), n_envs=1)


@pytest.mark.parametrize("content", [b"", b"garbage", b"GGUF" + bytes(20), b"GGUF\xff\xff\xff\xff" + bytes(range(200))])
def test_damaged_gguf_files(tmp_path, content):
    pytest.importorskip("gguf")
    (tmp_path / "x.gguf").write_bytes(content)
    with pytest.raises(TextGymError, match=r"x\.gguf"):
        models.load(tmp_path / "x.gguf")


@pytest.mark.parametrize("damage", [*DAMAGES, "other shape"])
def test_damaged_value_heads(tmp_path, damage):
    policy = load_policy("textgym/small", ID)
    policy.save_pretrained(tmp_path / "m")
    path = tmp_path / "m" / "value_head.safetensors"
    if damage == "other shape":
        save_file({"weight": torch.zeros(1, 3), "bias": torch.zeros(1)}, path)
    else:
        path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.raises(ModelError, match=r"value_head\.safetensors"):
        load_policy(str(tmp_path / "m"), ID)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG, errno.EDQUOT])
def test_a_full_disk_is_one_sentence(tmp_path, monkeypatch, number):
    def full(*arguments, **options):
        raise OSError(number, "full")

    policy = load_policy("textgym/small", ID)
    assert isinstance(policy, LanguageModelPolicy)
    monkeypatch.setattr(type(policy.lm), "save_pretrained", full)
    with pytest.raises(StorageError, match="Make room"):
        policy.save_pretrained(tmp_path / "m")


def test_a_full_disk_that_safetensors_notices(tmp_path, monkeypatch):
    from safetensors import SafetensorError

    def full(*arguments, **options):
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    policy = load_policy("textgym/small", ID)
    monkeypatch.setattr("textgym_agents.policies.saving.save_file", full)
    with pytest.raises(StorageError, match="no space left on device"):
        policy.save_pretrained(tmp_path / "m")


def with_template(folder, template):
    (folder / "chat_template.jinja").write_text(template)


def test_a_model_with_a_chat_template_is_warned_of(folder, recwarn):
    with_template(folder, "{% for m in messages %}<user>{{ m['content'] }}</user>{% endfor %}")
    with pytest.warns(UserWarning, match="chat=True"):
        make("zero_shot", ID, str(folder), n_envs=1)
    recwarn.clear()
    make("zero_shot", ID, str(folder), n_envs=1, env_kwargs={"chat": False})
    with_template(folder, "{% for m in messages %}{{ m['content'] }}{% endfor %}")
    make("zero_shot", ID, str(folder), n_envs=1)
    assert not [one for one in recwarn if "chat" in str(one.message)]
