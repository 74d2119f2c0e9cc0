"""Checkpoints from which training continues exactly: the same tokens, losses and weights as without the interruption.

A checkpoint is a folder of ``state.json``, ``tensors.safetensors``, and ``SHA256SUMS`` of the two. A class with state
defines ``get_state()``, which returns plain values (see ``plain_state``), and ``set_state(state)``: the checkpoint asks
for them. For classes without the two, such as those of SB3, there is a rule, so that new algorithms need nothing of
their own: weights, optimizers, and all plain attributes of the algorithm, its policy and every layer of its
environment, random generators included. Arguments of constructors are compared, not restored.

Checkpoints are made between an update and the next rollout. There the contents of a rollout buffer are used up: what
outlasts a rollout is in its ``get_state``, or there is nothing. A replay buffer is kept whole.
"""

from textgym_agents.checkpoint.callback import CheckpointCallback
from textgym_agents.checkpoint.files import find_checkpoint, load_checkpoint, read_state, save_checkpoint

__all__ = ["CheckpointCallback", "find_checkpoint", "load_checkpoint", "read_state", "save_checkpoint"]
