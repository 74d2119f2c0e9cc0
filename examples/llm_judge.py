"""A language model as judge: describe what a good completion is, get a reward from 0 to 1.

python examples/llm_judge.py --model Qwen/Qwen3-0.6B    an instruction-tuned model: a hub name or a folder
python examples/llm_judge.py                            offline: an untrained tiny model, to see how it is used

For a model behind a server: LLMJudge(CRITERIA, OpenAIBackend("model", "http://127.0.0.1:8000/v1")).
"""

import argparse

from textgym.core import Sample, score_samples
from textgym.rewards.judge import LLMJudge, LocalBackend
from textgym.tokenizer import builtin_tokenizer

CRITERIA = "Is the text fluent English, and does it answer the question?"
QUESTION = "Where is the harbour?"
GOOD, BAD = " It lies in the north, behind the mill.", " harbour the the Tuesday of lies mill mill"


def untrained_backend() -> LocalBackend:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    tokenizer = builtin_tokenizer()
    config = LlamaConfig(vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2)
    return LocalBackend(LlamaForCausalLM(config), tokenizer)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", help="hub name or folder of an instruction-tuned model")
    model = parser.parse_args().model
    judge = LLMJudge(CRITERIA, LocalBackend(model) if model else untrained_backend())

    scores = score_samples(judge, [Sample(QUESTION, text) for text in (GOOD, BAD)])
    print(f"{CRITERIA}\n{QUESTION}")
    for text, score in zip((GOOD, BAD), scores, strict=True):
        verdict, mass = score.components["judge_score"], score.components["judge_label_mass"]
        print(f"{text!r}: reward {score.value:.3f}, judged {verdict:.2f} of 5, probability of a digit {mass:.3f}")
    if not model:
        print("This model has had no training, so its scores mean nothing: pass --model.")


if __name__ == "__main__":
    main()
