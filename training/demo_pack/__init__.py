"""Trains the demo's model pack on rendered faces: ``python -m training.demo_pack DATA OUT``."""
