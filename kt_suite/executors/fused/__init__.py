"""Fused trials: many Keras models trained in one compiled program, exactly as ``model.fit`` trains each.

``skeleton`` says which models can share a program, and why one cannot; a ``Stack`` trains those that can.
"""
