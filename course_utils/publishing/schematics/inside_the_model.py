"""The schematics of lessons 06 to 10."""

INSIDE_THE_MODEL = {}
