"""Vectors of tokens: how alike two are, which are nearest, and a map of many in two dimensions.

Lesson: 05 · From text to vectors
"""

import torch


def cosine_similarity(vectors: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Return the cosine of the angle between every two vectors: 1 is the same direction, 0 a right angle.

    Args:
        vectors: `(many, hidden)`.
        others: `(more, hidden)`.

    The result is `(many, more)`; of a vector of zeros, which has no direction, it is 0. Equals
    `torch.nn.functional.cosine_similarity`.

    >>> cosine_similarity(torch.tensor([[3.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 9.0], [-2.0, 0.0]]))
    tensor([[ 1.,  0., -1.]])
    """
    return unit_vectors(vectors) @ unit_vectors(others).T


def unit_vectors(vectors: torch.Tensor) -> torch.Tensor:
    """Divide each vector of `(..., hidden)` by its length.

    Equals `torch.nn.functional.normalize`.

    >>> unit_vectors(torch.tensor([3.0, 4.0]))
    tensor([0.6000, 0.8000])
    """
    return vectors / vectors.norm(dim=-1, keepdim=True).clamp(min=1e-12)


def nearest(vector: torch.Tensor, vectors: torch.Tensor, count: int = 5) -> list[tuple[int, float]]:
    """Return the rows of `vectors` with the largest cosine to `vector`, and that cosine; best first.

    Args:
        vector: `(hidden,)`.
        vectors: `(many, hidden)`.

    Raises:
        ValueError: There are not that many.

    >>> nearest(torch.tensor([1.0, 0.0]), torch.tensor([[0.0, 1.0], [4.0, 3.0]]), count=1)
    [(1, 0.8...)]
    """
    if not 1 <= count <= len(vectors):
        raise ValueError(f"count must be in 1 … {len(vectors)}, got {count}")
    best = cosine_similarity(vector[None], vectors)[0].topk(count)
    return list(zip(best.indices.tolist(), best.values.tolist(), strict=True))


def principal_axes(vectors: torch.Tensor, axes: int = 2) -> torch.Tensor:
    """Return the directions in which `vectors` differ most, `(axes, hidden)`, each of length 1.

    The vectors `(many, hidden)` should have a mean of 0: subtract it before. A direction has no sign of its own; here
    its largest number is positive.

    Raises:
        ValueError: There are more axes than numbers in a vector, or than vectors.

    Source: Pearson (1901), On Lines and Planes of Closest Fit. Equals PCA.

    >>> principal_axes(torch.tensor([[3.0, 0.1], [-3.0, -0.1]]), axes=1).round(decimals=2)
    tensor([[1.0000, 0.0300]])
    """
    if not 1 <= axes <= min(vectors.shape):
        raise ValueError(f"axes must be in 1 … {min(vectors.shape)}, got {axes}")
    # The directions of a singular value decomposition, from a matrix of only (hidden, hidden).
    found = torch.linalg.eigh(vectors.double().T @ vectors.double()).eigenvectors.T.flip(0)[:axes]
    largest = found.gather(1, found.abs().argmax(1, keepdim=True))
    return (found * largest.sign()).to(vectors.dtype)


def explained_variance(vectors: torch.Tensor, axes: torch.Tensor) -> float:
    """Return the share of all differences between `vectors` that is left when only `axes` are seen, 0 to 1.

    Args:
        vectors: `(many, hidden)` with a mean of 0.
        axes: `(axes, hidden)` from `principal_axes`.

    Vectors that do not differ have nothing to explain: 0.

    >>> round(explained_variance(torch.tensor([[3.0, 4.0], [-3.0, -4.0]]), torch.tensor([[1.0, 0.0]])), 2)
    0.36
    """
    everything = vectors.square().sum()
    # What rounding leaves of equal vectors is no difference.
    return ((vectors @ axes.T).square().sum() / everything).item() if everything > 1e-6 * len(vectors) else 0.0
