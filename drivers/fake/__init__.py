"""A hypervisor wholly in memory: `hypervisor` has its domains, which live, and `objects` all else, which stands still."""

from drivers.fake.hypervisor import PIECE, Fake, Shape, shape

__all__ = ["PIECE", "Fake", "Shape", "shape"]
