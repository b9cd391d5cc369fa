"""From text to tokens, as code to read: byte pairs and word pieces, equal to the tokenizers of `transformers`.

What a model says about tokens is in `engine` and `experiments`.
"""
