"""Checkpoints from which training goes on exactly: the same tokens, losses and weights as if it had never stopped.

A checkpoint is a folder of two files, ``state.json`` and ``tensors.safetensors``. What belongs to it is found by a
rule, so that new algorithms need nothing of their own: weights, optimisers, and of the algorithm, its policy, its
buffer, its KL controller and every layer of its environment all attributes that are plain (see ``plain_state``),
random generators included. Arguments of constructors are compared, not restored. An object with state that isn't plain
defines ``get_state()``, which returns plain values, and ``set_state(state)``; the two replace the rule for it.

Checkpoints are made between an update and the next rollout. There the contents of a rollout buffer are used up, and of
it only what outlasts a rollout is kept; a replay buffer is kept whole.
"""

from textgym_agents.checkpoint.callback import CheckpointCallback
from textgym_agents.checkpoint.files import find_checkpoint, load_checkpoint, save_checkpoint

__all__ = ["CheckpointCallback", "find_checkpoint", "load_checkpoint", "save_checkpoint"]
