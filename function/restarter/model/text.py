"""A sentence in each language that the function speaks. No I/O here."""

from typing import Literal, NamedTuple

Language = Literal["en", "zh-cn"]


class Text(NamedTuple):
    """The same sentence in English and in simplified Chinese. Placeholders like `{target}` are the same in both."""

    en: str
    zh: str

    def in_(self, language: Language) -> str:
        """The sentence in one language."""
        return self.en if language == "en" else self.zh
