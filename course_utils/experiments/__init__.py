"""What the lessons find out about models: examples in prompts, failures, fine-tuning, heads, surprisal; their texts.

Each module asks one question and answers with tensors or plain numbers. How generation works is in `engine`, how long
it takes in `measuring`.
"""
