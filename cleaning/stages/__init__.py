"""The stages: each wires rooms of cleaning together, reads its inputs and stores its result."""
