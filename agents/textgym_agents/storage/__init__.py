"""Files and folders that are there whole or not at all, and the lock of a folder in which one process works."""

from textgym_agents.storage.files import beside, recover, replacing, replacing_folder, write_atomically
from textgym_agents.storage.lines import append_line, cut_unfinished_line, read_lines
from textgym_agents.storage.lock import LOCK, locked

__all__ = [
    "LOCK",
    "append_line",
    "beside",
    "cut_unfinished_line",
    "locked",
    "read_lines",
    "recover",
    "replacing",
    "replacing_folder",
    "write_atomically",
]
