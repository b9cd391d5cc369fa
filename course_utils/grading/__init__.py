"""Grade submissions: their code runs in a sandbox, what it answers is judged outside."""
