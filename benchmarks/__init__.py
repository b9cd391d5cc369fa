"""Measurements of the course's own code, printed by the machine that ran them."""
