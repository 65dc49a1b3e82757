"""Processes that train one model together. Worker processes only.

Every process calls the same methods in the same order; what they do is done by all of them together. A process on its own
is a world of one, in which they do nothing, so that whoever trains need not ask. What goes from process to process is
numbers and JSON, never pickled objects.
"""

import json
import os
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from auditor.errors import InputError
from auditor.models.precision import pick_device

#: Gathering and writing a checkpoint of a large model takes minutes, in which the others wait. One that has died is noticed
#: otherwise (see `auditor.audits.unlearning.together`).
_PATIENCE = timedelta(hours=6)
_BACKENDS = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}


class World:
    """The processes, as one of them sees them.

    Attributes
    ----------
    rank : int
        Its own number, from 0.
    size : int
        How many there are.
    device : torch.device
        Its own.
    """

    def __init__(self, rank: int = 0, size: int = 1, device: Any = None) -> None:
        self.rank, self.size = rank, size
        self.device = torch.device("cpu") if device is None else device

    @property
    def is_alone(self) -> bool:
        """Whether there is only this one."""
        return self.size == 1

    @property
    def is_first(self) -> bool:
        """Whether it is the one that speaks for all."""
        return self.rank == 0

    def told(self, value: Any, by: int = 0) -> Any:
        """What one process says, to all of them.

        Parameters
        ----------
        value : JSON
            What it says; of the others it does not count.
        by : int
            Its number.
        """
        if self.is_alone:
            return value
        is_me = self.rank == by
        data = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8) if is_me else None
        length = torch.tensor([0 if data is None else len(data)])
        dist.broadcast(length, by)
        if data is None:
            data = torch.empty(int(length), dtype=torch.uint8)
        dist.broadcast(data, by)
        return value if is_me else json.loads(bytes(data.tolist()))

    def heard(self, value: Any) -> list[Any]:
        """What every process says, JSON, in their order."""
        return [self.told(value, by) for by in range(self.size)]

    def totals(self, values: Sequence[float]) -> list[float]:
        """Sums over the processes of some numbers, in float64."""
        if self.is_alone:
            return list(values)
        sums = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(sums)
        found: list[float] = sums.tolist()
        return found

    def summed(self, tensor: Any) -> Any:
        """Sum over the processes of a tensor that all have in one shape, in float32; a new one."""
        found = tensor.detach().to(torch.float32, copy=True)
        if not self.is_alone:
            dist.all_reduce(found)
        return found

    def own(self, tensor: Any) -> Any:
        """The rows of a tensor that belong to this process: as even parts as can be, the first ones larger."""
        if self.is_alone:
            return tensor
        most = self._most(len(tensor))
        begin = min(self.rank * most, len(tensor))
        return tensor[begin : begin + most]

    def whole(self, part: Any, shape: Sequence[int]) -> Any:
        """A tensor from the rows that each process has of it, to all of them.

        Parameters
        ----------
        part : tensor of shape (n, ...)
            As `own` would have given it.
        shape : sequence of int
            Of the whole.
        """
        if self.is_alone:
            return part
        most = self._most(shape[0])
        padded = part.new_zeros((most, *shape[1:]))
        padded[: len(part)] = part
        found = part.new_empty((most * self.size, *shape[1:]))
        dist.all_gather(list(found.chunk(self.size)), padded)
        return found[: shape[0]]

    def dealt(self, tensor: Any, shape: Sequence[int]) -> Any:
        """A float32 tensor that the first process has, to all of them.

        Parameters
        ----------
        tensor : tensor of that shape
            Of the others it does not count.
        shape : sequence of int
        """
        if self.is_alone:
            return tensor
        found = torch.empty(tuple(shape), dtype=torch.float32, device=self.device)
        if self.is_first:
            found.copy_(tensor)
        dist.broadcast(found, 0)
        return found

    def meet(self) -> None:
        """Wait until all have come here, after which none of them waits for another one's words."""
        self.totals([0.0])

    def _most(self, n: int) -> int:
        return -(-n // self.size)


#: The world of a process that trains on its own.
ALONE = World()


def require_devices(n: int, asked: str) -> None:
    """Refuse more devices than can train together on this machine.

    Parameters
    ----------
    n : int
        Above 1.
    asked : str
        "auto", "cpu", "cuda" or "mps".

    Raises
    ------
    InputError
        If there are not as many, or they cannot work together.
    """
    kind = pick_device(asked).type
    if os.name == "nt" or kind not in _BACKENDS or not dist.is_available():
        raise InputError(
            "Several devices train together under Linux, and processes on a processor under macOS too; this machine has one",
            value=n,
            fix="Set Devices to 1, or choose the device cpu.",
        )
    there = torch.cuda.device_count() if kind == "cuda" else n
    if n > there:
        raise InputError(
            f"More devices are to train together than the {there:,} that are here",
            value=n,
            fix=f"Set Devices to {there:,}, or run where there are as many.",
        )


def joined(kind: str) -> World:
    """Join the processes that were started with this one, as torchrun tells it by the environment.

    Parameters
    ----------
    kind : str
        Where they compute: "cpu" or "cuda", each on a graphics processor of its own.
    """
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    device = torch.device(kind)
    if kind == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    if not dist.is_initialized():  # Ray has done it already
        dist.init_process_group(_BACKENDS[kind], rank=rank, world_size=size, timeout=_PATIENCE)
    return World(rank, size, device)
