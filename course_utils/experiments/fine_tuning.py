"""Fine-tuning an encoder to classify sentences: the model with its head, and one loop for every way of doing it.

Lesson: 06 · Pre-training and fine-tuning
"""

from collections.abc import Iterator, Mapping

import torch
from torch import nn
from transformers import PreTrainedModel

from course_utils.engine.arguments import check_whole


class SentenceClassifier(nn.Module):
    """An encoder, the mean of its vectors over the tokens of a text, and one linear layer: the head.

    It stays in evaluation mode, so there is no dropout, and a run with the same seed repeats.

    Args:
        encoder: A BERT of `transformers`; its weights are copied if `pretrained`, its shape is copied in any case.
        classes: How many classes the head tells apart.
        pretrained: Whether to begin with the weights of `encoder`, or with random ones.
        seed: What decides the random weights, of the head in any case.

    Source: the mean as in Reimers and Gurevych (2019), Sentence-BERT.

    >>> from course_utils.models import load_encoder
    >>> classifier = SentenceClassifier(load_encoder().model, classes=3)
    >>> classifier(input_ids=torch.tensor([[101, 102]]), attention_mask=torch.ones(1, 2)).shape
    torch.Size([1, 3])
    """

    def __init__(self, encoder: PreTrainedModel, classes: int, pretrained: bool = True, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng():  # the learner's own random numbers stay as they are
            torch.manual_seed(seed)
            self.head = nn.Linear(encoder.config.hidden_size, classes)
            self.encoder = type(encoder)(encoder.config, add_pooling_layer=False)
        if pretrained:
            own = self.encoder.state_dict()
            self.encoder.load_state_dict({name: value for name, value in encoder.state_dict().items() if name in own})
        self.eval()

    def vectors(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **_: torch.Tensor) -> torch.Tensor:
        """Return the mean vector of each text, `(batch, hidden)`, for ids and mask `(batch, seq)`, padded right."""
        longest = int(attention_mask.sum(1).max())  # needless padding costs time
        ids, mask = input_ids[:, :longest], attention_mask[:, :longest]
        hidden = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        return (hidden * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)

    def forward(self, **inputs: torch.Tensor) -> torch.Tensor:
        """Return the logits of each text, `(batch, classes)`; arguments as `vectors`."""
        return self.head(self.vectors(**inputs))


def shuffled_batches(examples: int, batch_size: int, seed: int) -> Iterator[torch.Tensor]:
    """Yield the numbers of the examples of each batch, without end; all come once before one comes again.

    Raises:
        ValueError: `batch_size` is not a whole number of at least 1, or there are no examples.

    >>> batches = shuffled_batches(examples=4, batch_size=2, seed=0)
    >>> sorted([*next(batches).tolist(), *next(batches).tolist()])
    [0, 1, 2, 3]
    """
    examples = check_whole("examples", examples, 1)
    batch_size = check_whole("batch_size", batch_size, 1)
    chance, order = torch.Generator().manual_seed(seed), torch.empty(0, dtype=torch.long)
    while True:
        while len(order) < batch_size:
            order = torch.cat([order, torch.randperm(examples, generator=chance)])
        yield order[:batch_size]
        order = order[batch_size:]


def fine_tune(
    model: nn.Module,
    inputs: Mapping[str, torch.Tensor],
    labels: torch.Tensor,
    steps: int,
    learning_rate: float,
    batch_size: int = 16,
    seed: int = 0,
) -> list[float]:
    """Train what asks for gradients in `model`, with AdamW; return the loss of every step.

    The learning rate rises for 5 steps, and then falls to 0 in a straight line.

    Args:
        model: Returns logits `(batch, classes)` when it is called with a part of `inputs`; trained in place.
        inputs: By name, one row per example.
        labels: The number of the right class, `(example,)`.
        steps: How many batches.
        learning_rate: Its highest value.
        batch_size: Examples a step.
        seed: What decides their order: the same seed gives the same batches to every model.

    Raises:
        ValueError: `steps` is not a whole number of at least 1, or nothing in `model` asks for gradients.

    Source: Howard and Ruder (2018), Universal Language Model Fine-tuning, for the rate that rises and falls.

    >>> head, labels = nn.Linear(1, 2), torch.tensor([0, 1])
    >>> losses = fine_tune(head, {"input": torch.tensor([[-1.0], [1.0]])}, labels, steps=50, learning_rate=0.3)
    >>> losses[-1] < 0.1
    True
    """
    steps = check_whole("steps", steps, 1)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trained:
        raise ValueError("model must have parameters that ask for gradients, got none")
    optimizer = torch.optim.AdamW(trained, learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min((step + 1) / 5, 1) * (1 - step / steps))
    batches, losses = shuffled_batches(len(labels), batch_size, seed), []
    for _ in range(steps):
        rows = next(batches)
        logits = model(**{name: values[rows] for name, values in inputs.items()})
        loss = nn.functional.cross_entropy(logits, labels[rows])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        losses.append(loss.item())
    return losses
