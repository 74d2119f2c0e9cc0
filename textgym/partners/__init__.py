"""Partners of conversations, one file each. A function of your own becomes one with ``@textgym.partner``."""

from textgym.partners.agenda import Agenda
from textgym.partners.gym_partner import GymPartner
from textgym.partners.human import Human
from textgym.partners.model import ModelPartner
from textgym.partners.scripted import Scripted
from textgym.partners.tau2 import Tau2Game
from textgym.partners.text_arena import TextArenaGame
from textgym.partners.tools import ToolUse, calculator, look_up

__all__ = [
    "Agenda",
    "GymPartner",
    "Human",
    "ModelPartner",
    "Scripted",
    "Tau2Game",
    "TextArenaGame",
    "ToolUse",
    "calculator",
    "look_up",
]
