"""The languages whose words the rules know, and the phrases that an operator adds to them."""

from memory.learning.languages.base import Language
from memory.learning.languages.english import ENGLISH
from memory.learning.languages.french import FRENCH
from memory.learning.languages.german import GERMAN
from memory.learning.languages.spanish import SPANISH

LANGUAGES: tuple[Language, ...] = (ENGLISH, GERMAN, FRENCH, SPANISH)

__all__ = ["LANGUAGES", "Language"]
