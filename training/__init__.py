"""How the small task heads were trained: `python -m training TASK --data DIR --out DIR`.

One recipe for all: the encoder stays as it is, every linear layer in it gets a LoRA adapter, and a head goes on
top. `loop.py` trains, `task.py` says what a task must bring, and each task is one file: rows, loss, scores.
"""
