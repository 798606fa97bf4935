"""For working on the product: debug pages on, everything else as on a laptop."""

from config.settings.base import *  # noqa: F403

DEBUG = True
