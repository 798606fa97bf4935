"""vCards: `.vcf` files of any size, as contacts."""

from memory.importers.vcard.source import VCARD

__all__ = ["VCARD"]
