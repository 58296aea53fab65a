"""The languages in which a search knows the forms of words: those that every Postgres knows."""

from typing import Final

LANGUAGES: Final = (
    *("arabic", "armenian", "basque", "catalan", "danish", "dutch", "english", "finnish"),
    *("french", "german", "greek", "hindi", "hungarian", "indonesian", "irish", "italian"),
    *("lithuanian", "nepali", "norwegian", "portuguese", "romanian", "russian", "serbian"),
    *("spanish", "swedish", "tamil", "turkish", "yiddish"),
)
"""Names of the Snowball stemmers in Postgres 15, the oldest that is served."""


def languages_of(names: str) -> list[str]:
    """The languages in a comma-separated list, each once.

    Raises:
        ValueError: there is no such language.
    """
    found = dict.fromkeys(name.strip().lower() for name in names.split(",") if name.strip())
    for name in found:
        if name not in LANGUAGES:
            raise ValueError(f"each must be one of: {', '.join(LANGUAGES)}")
    return list(found)
