"""Files and folders that are there whole or not at all, and the lock of a folder in which one process works."""

from textgym_agents.storage.files import beside, recover, replacing, replacing_folder, write_atomically
from textgym_agents.storage.lock import LOCK, locked

__all__ = ["LOCK", "beside", "locked", "recover", "replacing", "replacing_folder", "write_atomically"]
