"""What running a model costs: time, memory, parameters, bits, and what a machine can do in a second.

Numbers in, numbers out, or a real run with a clock beside it. Pictures of them are in `figures`.
"""
