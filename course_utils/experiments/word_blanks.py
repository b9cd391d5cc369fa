"""Sentences with a blank whose right side alone says which of four words belongs there.

Lesson: 07 · Encoders, decoders and both
"""

# Four words, and four sentences that each of them fits, in the same order. All four begin the same up to the blank.
BLANKS: list[tuple[list[str], list[str]]] = [
    (
        ["doctor", "teacher", "pilot", "farmer"],
        [
            "The … treated her patients.",
            "The … gave her pupils a test.",
            "The … landed the plane.",
            "The … milked the cows.",
        ],
    ),
    (
        ["book", "car", "song", "game"],
        [
            "He liked the … and read it twice.",
            "He liked the … and drove it home.",
            "He liked the … and sang it twice.",
            "He liked the … and played it twice.",
        ],
    ),
    (
        ["kitchen", "library", "garden", "bank"],
        [
            "They met in the … and cooked a meal.",
            "They met in the … and read some books.",
            "They met in the … and watered the flowers.",
            "They met in the … and opened an account.",
        ],
    ),
    (
        ["dog", "cat", "horse", "bird"],
        [
            "My … barked at the stranger.",
            "My … caught a mouse.",
            "My … carried its rider.",
            "My … flew to its nest.",
        ],
    ),
    (
        ["knife", "pen", "phone", "key"],
        [
            "Use the … to cut the bread.",
            "Use the … to write a letter.",
            "Use the … to call your mother.",
            "Use the … to open the door.",
        ],
    ),
    (
        ["hat", "shoes", "gloves", "coat"],
        [
            "Put the … on your head.",
            "Put the … on your feet.",
            "Put the … on your hands.",
            "Put the … on, it is cold.",
        ],
    ),
]
