"""Grade submissions: their code runs in a sandbox, what it answers is judged outside.

The tasks, and what is right in them, are in `exercises`. No lesson and no widget imports this room.
"""
