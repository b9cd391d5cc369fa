"""What the models are asked in lesson 02: real facts, invented ones, sums, books, words, occupations.

The invented countries were made up for this course. Of the first 20 real ones, the second half have a larger or more
famous city that is not the capital, or are in the news less often.

Lesson: 02 · Where LLMs fail
"""

import random

from course_utils.engine.arguments import check_whole

CAPITALS = {
    "France": "Paris", "Japan": "Tokyo", "Norway": "Oslo", "Kenya": "Nairobi", "Germany": "Berlin",
    "Egypt": "Cairo", "Peru": "Lima", "Cuba": "Havana", "Portugal": "Lisbon", "Canada": "Ottawa",
    "Australia": "Canberra", "Brazil": "Brasília", "Turkey": "Ankara", "Vietnam": "Hanoi", "Morocco": "Rabat",
    "Myanmar": "Naypyidaw", "Switzerland": "Bern", "Kazakhstan": "Astana", "Mongolia": "Ulaanbaatar",
    "Nepal": "Kathmandu",
}  # fmt: skip

# As many again: what was chosen by looking at the others is tested on these.
MORE_CAPITALS = {
    "Greece": "Athens", "Austria": "Vienna", "Finland": "Helsinki", "Ireland": "Dublin", "Denmark": "Copenhagen",
    "Hungary": "Budapest", "Iran": "Tehran", "Iraq": "Baghdad", "India": "Delhi", "Thailand": "Bangkok",
    "Indonesia": "Jakarta", "Ecuador": "Quito", "Chile": "Santiago", "Argentina": "Buenos Aires",
    "Nigeria": "Abuja", "Pakistan": "Islamabad", "Tanzania": "Dodoma", "Ethiopia": "Addis Ababa", "Ghana": "Accra",
    "Romania": "Bucharest",
}  # fmt: skip

INVENTED_COUNTRIES = [
    "Veltria", "Qualestan", "Ostrovia", "Kelvania", "Drusland", "Pelmaria", "Sorvania", "Faroqua", "Wesprinia",
    "Calvoria", "Tambria", "Brintania", "Halvonia", "Lurmenia", "Peldoria", "Tashkovia", "Zelmara", "Orvistan",
    "Quandara", "Morvelia", "Jastonia", "Ulmenistan", "Brevania", "Ferundia",
]  # fmt: skip

# Real, and seldom written about in English.
RARE_COUNTRIES = ["Kiribati", "Comoros", "Vanuatu", "Tuvalu", "Lesotho", "Djibouti", "Eswatini", "Palau"]

# Each of these authors is known for this one book above all others, so the question has an answer in both directions.
BOOKS = {
    "Moby-Dick": "Herman Melville", "Dracula": "Bram Stoker", "Frankenstein": "Mary Shelley",
    "Jane Eyre": "Charlotte Brontë", "Wuthering Heights": "Emily Brontë", "Don Quixote": "Miguel de Cervantes",
    "Gulliver’s Travels": "Jonathan Swift", "Walden": "Henry David Thoreau",
    "The Catcher in the Rye": "J.D. Salinger", "To Kill a Mockingbird": "Harper Lee",
    "Lord of the Flies": "William Golding", "Brave New World": "Aldous Huxley", "Paradise Lost": "John Milton",
    "The Wealth of Nations": "Adam Smith", "Fahrenheit 451": "Ray Bradbury", "Little Women": "Louisa May Alcott",
    "Robinson Crusoe": "Daniel Defoe", "Peter Pan": "J. M. Barrie", "The Wind in the Willows": "Kenneth Grahame",
    "Catch-22": "Joseph Heller",
}  # fmt: skip

# A word, and the letter to count in it: eight words with one, eight with two, eight with three.
LETTERS = [
    ("planet", "t"), ("garden", "g"), ("window", "n"), ("monkey", "k"), ("silver", "v"), ("basket", "b"),
    ("winter", "w"), ("lemon", "m"), ("coffee", "f"), ("letter", "t"), ("balloon", "l"), ("umbrella", "l"),
    ("giraffe", "f"), ("committee", "m"), ("rabbit", "b"), ("summer", "m"), ("strawberry", "r"), ("banana", "a"),
    ("parallel", "l"), ("bookkeeper", "e"), ("raspberry", "r"), ("pepper", "p"), ("eleven", "e"), ("tomorrow", "o"),
]  # fmt: skip

OCCUPATIONS = [
    "nurse", "librarian", "nanny", "secretary", "teacher", "hairdresser", "housekeeper", "receptionist", "dancer",
    "writer", "scientist", "doctor", "lawyer", "chef", "engineer", "electrician", "driver", "carpenter", "farmer",
    "soldier",
]  # fmt: skip

# Words for people that say nothing about their work: what a model prefers after these is its own level.
NEUTRAL_WORDS = ["person", "friend", "neighbour", "stranger", "visitor", "customer"]

# What comes before a pronoun, and what comes after it. A causal LM reads only the first.
PRONOUN_FRAMES = [
    ("The {} said that", "was tired."),
    ("The {} was late because", "missed the bus."),
    ("The {} laughed because", "was happy."),
    ("The {} went home because", "was ill."),
    ("The {} smiled when", "saw the letter."),
    ("The {} stopped when", "heard the news."),
]


def draw_sums(digits: int, count: int, seed: int = 0) -> list[tuple[int, int]]:
    """Draw `count` pairs of numbers of `digits` digits each, no pair twice.

    Raises:
        ValueError: `digits` or `count` is not a whole number of at least 1, or there are fewer than `count` pairs.

    >>> draw_sums(2, 3)
    [(86, 87), (45, 15), (78, 99)]
    """
    digits = check_whole("digits", digits, 1)
    count = check_whole("count", count, 1)
    least = 10 ** (digits - 1)
    numbers = 9 * least
    if count > numbers**2:
        raise ValueError(f"count must be at most {numbers**2}, the pairs of {digits}-digit numbers, got {count}")
    places = random.Random(seed).sample(range(numbers**2), count)
    return [(least + place // numbers, least + place % numbers) for place in places]


def sum_prompt(shots: list[tuple[int, int]], first: int, second: int) -> str:
    r"""Write a few-shot prompt that ends where the sum of `first` and `second` is asked for.

    >>> sum_prompt([(2, 3)], 4, 4)
    '2 + 3 = 5\n4 + 4 ='
    """
    return "".join(f"{a} + {b} = {a + b}\n" for a, b in shots) + f"{first} + {second} ="
