"""The schematics of lessons 11 to 15."""

WRITING_A_TEXT = {}
